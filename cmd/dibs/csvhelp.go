package main

import (
	"strings"

	"github.com/dibs-calls/dibs/importer"
)

// csvHelp is about files; the columns in it are those that the importer knows.
func csvHelp() string {
	var b strings.Builder
	b.WriteString(`What 'dibs clients import' and 'dibs users import' read:

Encoding    UTF-8 (with or without byte-order mark), UTF-16, or Windows-1252 and
            Latin-1 as older spreadsheets write it. It is recognised.
Separator   comma, semicolon, tab or bar, whichever parts the first line into
            columns that make sense; a line "sep=;" above it is obeyed.
Quotes      a cell that contains the separator or a line break stands in "", and
            a quotation mark in it is doubled. One that is never closed costs
            its line, not the file.
Lines       LF, CRLF or CR. Line numbers are those an editor shows. Empty lines
            are skipped. A record may have 1 MiB.
Numbers     become E.164 (+12025550123). --region says whose a number without a
            country is. Extensions are dropped; of several numbers in a cell the
            first is taken. VICIdial's phone_code goes before phone_number.
E-mail      ana@example.com, Ana <ana@example.com>, mailto:ana@example.com; of
            several in a cell the first is taken. What is none is kept as an
            attribute.
Names       the full name, or first, middle and last; else the company, the
            e-mail address, or the number.

The first line names the columns. Case, spaces and punctuation in names do not
matter. Columns of clients that are not listed here are kept as attributes under
their own name, and so are the second number and e-mail address of a client.

`)
	writeColumns(&b, "Clients", importer.ClientColumns())
	writeColumns(&b, "Users", importer.UserColumns())
	return strings.TrimSpace(b.String())
}

func writeColumns(b *strings.Builder, title string, columns []importer.Column) {
	b.WriteString(title + "\n")
	for _, c := range columns {
		b.WriteString("  " + c.Meaning + "\n")
		line := "   "
		for i, name := range c.Names {
			if i < len(c.Names)-1 {
				name += ","
			}
			if len(line)+len(name) > 78 {
				b.WriteString(line + "\n")
				line = "   "
			}
			line += " " + name
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("\n")
}
