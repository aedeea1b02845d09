// Package web is the page of dibs for people: static files, embedded in the
// binary, and the handler that serves them.
//
// The model. The page is small ES modules that the browser loads as they stand
// in static/; nothing builds or bundles them. The libraries in
// static/third_party are copies of published packages (scripts/vendor-web.sh).
// That folder is not called vendor, because the Go module proxy leaves folders
// of that name out of a module.
//
// Addresses. The page is at "/". Everything else is under /assets/<version>/,
// where the version is a digest of all files: browsers keep a file for ever and
// ask for nothing again until the binary changes. The page itself is asked for
// each time and answered by its ETag.
//
// Nothing here needs to know who is asking: the files are the same for
// everybody, and hold no data. What the page shows it fetches from the API with
// the session's cookie. The Content-Security-Policy lets the page load and ask
// nothing but this server, and run nothing that is written into a document.
package web
