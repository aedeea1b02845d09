#!/usr/bin/env bash
# Fetches the libraries of the web page from the npm registry and writes them to
# transport/httpapi/web/static/third_party, each with its licence, and a
# manifest of versions and checksums. Run it to move a version; nothing else in
# building or running dibs needs npm.
#
# A browser cannot resolve the bare names that packages import each other by
# ("preact"), and an import map would have to stand inline in the page, which
# its Content-Security-Policy forbids. So this script writes file names in
# their place. It drops the pointers to source maps, which are not served.
# That is all it changes.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly out=transport/httpapi/web/static/third_party

# package, version, licence, file in the package, name here
readonly libraries="
preact                11.2.0 MIT        dist/preact.mjs             preact.js
preact                11.2.0 MIT        hooks/dist/hooks.mjs        preact-hooks.js
@preact/signals-core  1.14.5 MIT        dist/signals-core.mjs       signals-core.js
@preact/signals       2.11.4 MIT        dist/signals.mjs            signals.js
htm                   3.1.1 Apache-2.0 dist/htm.mjs                htm.js
"

# rewrite prints a module with its imports pointing to the files beside it.
rewrite() {
	sed -E \
		-e 's#from ?"preact/hooks"#from"./preact-hooks.js"#g' \
		-e 's#from ?"preact"#from"./preact.js"#g' \
		-e 's#from ?"@preact/signals-core"#from"./signals-core.js"#g' \
		-e 's#//\# sourceMappingURL=.*##' "$1"
}

sha() { sha256sum "$1" | cut -d' ' -f1; }

# unpack fetches a package and prints the folder that it was unpacked to.
unpack() {
	local name=$1 version=$2 dir
	dir="$work/${name//\//_}-$version"
	if [ ! -d "$dir" ]; then
		mkdir -p "$dir"
		local tarball
		tarball=$(cd "$dir" && npm pack --silent "$name@$version")
		tar -xzf "$dir/$tarball" -C "$dir"
	fi
	echo "$dir/package"
}

main() {
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$out"
	rm -f "$out"/*.js "$out"/*.txt "$out"/manifest.json
	local name version licence file as dir separator=""
	{
		echo "["
		while read -r name version licence file as; do
			[ -n "$name" ] || continue
			dir=$(unpack "$name" "$version")
			rewrite "$dir/$file" >"$out/$as"
			local text="LICENSE-${as%.js}.txt"
			cp "$dir/LICENSE" "$out/$text"
			printf '%s  {"file": "%s", "sha256": "%s",\n' "$separator" "$as" "$(sha "$out/$as")"
			printf '   "package": "%s", "version": "%s", "licence": "%s", "licence_file": "%s",\n' \
				"$name" "$version" "$licence" "$text"
			printf '   "original": "%s", "original_sha256": "%s"}' "$file" "$(sha "$dir/$file")"
			separator=$',\n'
		done <<<"$libraries"
		printf '\n]\n'
	} >"$work/manifest.json"
	chmod 644 "$out"/*
	install -m 644 "$work/manifest.json" "$out/manifest.json"
}

main
