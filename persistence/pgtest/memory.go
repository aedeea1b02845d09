package pgtest

import "syscall"

const (
	memory     = "/dev/shm" // Linux's file system in memory
	memoryRoom = 2 << 30    // bytes that must be free there; a container often has 64 MiB
)

// folderFor is where a server's folder is made; "" is the default. What need not
// outlive the machine is kept in memory where there is room for it: a database
// made and dropped for a test is hundreds of files, and on a disk that others
// write to as well that takes ten times as long.
func folderFor(o Options) string {
	var fs syscall.Statfs_t
	if o.Durable || syscall.Statfs(memory, &fs) != nil || syscall.Access(memory, 2 /* W_OK */) != nil ||
		fs.Bavail*uint64(fs.Bsize) < memoryRoom {
		return ""
	}
	return memory
}
