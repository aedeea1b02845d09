package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// picture leaves a picture of what the tab shows, if pictures are wanted.
func (p *page) picture(name string) {
	p.t.Helper()
	if *screenshots != "" {
		savePicture(p.t, name, p.shot())
	}
}

// shot is what the tab shows.
func (p *page) shot() image.Image {
	p.t.Helper()
	data, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	p.must(err)
	shot, err := png.Decode(bytes.NewReader(data))
	p.must(err)
	return shot
}

// savePicture writes a picture as small as PNG makes it.
func savePicture(t *testing.T, name string, img image.Image) {
	t.Helper()
	var file bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&file, img); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// half is a screen that leaves room for another one beside it.
var half = screen{name: "half", width: 800, height: 600, scale: 1, scheme: "light"}

// twoBrowsers leaves a picture of the two browsers of scenario 3, side by side:
// left who calls, right who cannot, and why.
func twoBrowsers(t *testing.T, left, right *page, taken element) {
	t.Helper()
	if *screenshots == "" {
		return
	}
	for _, p := range []*page{left, right} {
		p.look(half)
		p.media(half.scheme, "reduce")
	}
	right.do(chromedp.MouseEvent(chromedp.MouseMoved, 1, 1))
	right.until("the tooltip to close", "!document.querySelector('[role=tooltip]:popover-open')")
	right.hover(taken)
	right.untilSaid("[role=tooltip]:popover-open", "Being called by")
	right.until("some seconds of the call", "/0:0[2-9]|0:[1-5]/.test(document.querySelector('[role=tooltip]:popover-open')?.textContent)")
	savePicture(t, "two-browsers", sideBySide(left.shot(), right.shot()))
	for _, p := range []*page{left, right} {
		p.look(wide)
	}
}

// sideBySide puts two pictures of the same size on one, with a gap that shows
// where one browser ends.
func sideBySide(left, right image.Image) image.Image {
	const gap = 16
	w, h := left.Bounds().Dx(), left.Bounds().Dy()
	out := image.NewRGBA(image.Rect(0, 0, 2*w+3*gap, h+2*gap))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.RGBA{0x57, 0x60, 0x6f, 0xff}), image.Point{}, draw.Src)
	draw.Draw(out, image.Rect(gap, gap, gap+w, gap+h), left, left.Bounds().Min, draw.Src)
	draw.Draw(out, image.Rect(2*gap+w, gap, 2*gap+2*w, gap+h), right, right.Bounds().Min, draw.Src)
	return out
}
