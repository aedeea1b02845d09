// Package importer reads people and clients from the CSV files that CRMs and
// dialers export, and writes clients as CSV again.
//
// Its model is a pipeline of three streams, each of which holds one record at a
// time:
//
//	bytes ──► records ──► table ──► clients, users
//
// The first finds where a record ends (quoted line breaks, LF, CRLF, CR) and
// never holds more than [MaxRecord] bytes of it. The second turns the record
// into cells: encoding, separator, header. The third knows the columns of each
// CRM (see columns.go) and makes values of them.
//
// Failure rules. A file whose header cannot be understood is refused as a whole
// ([HeaderError]). After that, what is wrong with one line is that line's
// problem alone: it is returned as a [BadLine], and reading goes on behind it.
// A quotation mark that is never closed costs the line it stands on, not the
// rest of the file. Any other error comes from the reader underneath and ends
// the import.
//
// Memory is constant, with one exception: so that duplicates within a file are
// noticed, every number taken is remembered as an integer together with its
// line, which costs about 40 bytes a number at most (40 MB for a million rows).
//
// Nothing here touches a store. A reader is for one goroutine.
package importer
