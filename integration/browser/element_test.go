package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// element names a thing on the page as assistive technology does.
type element struct{ role, name string }

func button(name string) element  { return element{"button", name} }
func textbox(name string) element { return element{"textbox", name} }
func radio(name string) element   { return element{"radio", name} }
func heading(name string) element { return element{"heading", name} }
func link(name string) element    { return element{"link", name} }

func (e element) String() string { return fmt.Sprintf("%s %q", e.role, e.name) }

// is reports whether a node of the accessibility tree is e.
func (e element) is(n *accessibility.Node) bool {
	return !n.Ignored && said(n.Role) == e.role && said(n.Name) == e.name
}

// asJSON is a value as JavaScript has it.
func asJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers can be written
	}
	return string(text)
}

// said is a value of the accessibility tree as text.
func said(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	_ = json.Unmarshal(v.Value, &s) // a value of another kind is not text
	return s
}

// lookUp finds an element that can be perceived now; nil: there is none.
func lookUp(ctx context.Context, t *chromedp.Target, e element) (*accessibility.Node, error) {
	document, err := cdp.Call(ctx, t, runtime.Evaluate, runtime.EvaluateParams{Expression: "document"})
	if err != nil {
		return nil, err
	}
	found, err := cdp.Call(ctx, t, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{
		ObjectID: document.Result.ObjectID, Role: e.role, AccessibleName: e.name,
	})
	if err != nil {
		return nil, err
	}
	for _, n := range found.Nodes {
		if e.is(n) && n.BackendDOMNodeID != 0 {
			return n, nil
		}
	}
	return nil, nil
}

// find waits until an element is there.
func (p *page) find(e element) (found *accessibility.Node) {
	p.t.Helper()
	p.wait(e.String(), func(ctx context.Context, t *chromedp.Target) (bool, error) {
		n, err := lookUp(ctx, t, e)
		found = n
		return n != nil, err
	})
	return found
}

// describedAs is the accessible description of an element.
func (p *page) describedAs(e element) string {
	p.t.Helper()
	return said(p.find(e).Description)
}

// untilDescribed waits until an element's description begins like this.
func (p *page) untilDescribed(e element, as string) {
	p.t.Helper()
	p.wait(fmt.Sprintf("%s to be described as %q", e, as), func(ctx context.Context, t *chromedp.Target) (bool, error) {
		n, err := lookUp(ctx, t, e)
		return n != nil && strings.HasPrefix(said(n.Description), as), err
	})
}

// spot is where the middle of an element is, and whether a click there meets it.
type spot struct {
	X, Y float64
	Hit  bool
}

const whereIs = `function () {
	this.scrollIntoView({ block: 'nearest', behavior: 'instant' });
	const box = this.getBoundingClientRect();
	const x = box.left + box.width / 2;
	const y = box.top + box.height / 2;
	const top = document.elementFromPoint(x, y);
	return { X: x, Y: y, Hit: top !== null && (this.contains(top) || top.contains(this)) };
}`

// locate waits until an element can be met with the pointer: it is there and
// nothing lies over it.
func (p *page) locate(e element) (at spot) {
	p.t.Helper()
	p.wait(e.String()+" in reach", func(ctx context.Context, t *chromedp.Target) (bool, error) {
		n, err := lookUp(ctx, t, e)
		if n == nil {
			return false, err
		}
		at, err = locate(ctx, t, n)
		return err == nil && at.Hit, err
	})
	return at
}

func locate(ctx context.Context, t *chromedp.Target, n *accessibility.Node) (at spot, err error) {
	node, err := cdp.Call(ctx, t, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: n.BackendDOMNodeID})
	if err != nil {
		return at, err
	}
	byValue := true
	r, err := cdp.Call(ctx, t, runtime.CallFunctionOn, runtime.CallFunctionOnParams{
		FunctionDeclaration: whereIs, ObjectID: node.Object.ObjectID, ReturnByValue: &byValue,
	})
	if err != nil {
		return at, err
	}
	return at, json.Unmarshal(r.Result.Value, &at)
}

// click clicks on an element with the mouse.
func (p *page) click(e element) {
	p.t.Helper()
	at := p.locate(e)
	p.do(chromedp.MouseEvent(chromedp.MouseMoved, at.X, at.Y), chromedp.MouseClickXY(at.X, at.Y))
}

// clickIfThere clicks on an element that may be gone by now.
func (p *page) clickIfThere(e element) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		n, err := lookUp(ctx, t, e)
		if n == nil {
			return err
		}
		at, err := locate(ctx, t, n)
		if err != nil || !at.Hit {
			return nil //nolint:nilerr // it went between two looks
		}
		return chromedp.Do(ctx, chromedp.MouseClickXY(at.X, at.Y))
	}))
}

// hover rests the pointer on an element.
func (p *page) hover(e element) {
	p.t.Helper()
	at := p.locate(e)
	p.do(chromedp.MouseEvent(chromedp.MouseMoved, at.X, at.Y))
}

// fill clicks into a field and writes into it.
func (p *page) fill(e element, text string) {
	p.t.Helper()
	p.click(e)
	p.do(command(input.InsertText, input.InsertTextParams{Text: text}))
}

// keys presses keys, one after the other.
func (p *page) keys(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// focused is what has the focus.
func (p *page) focused() element {
	p.t.Helper()
	var e element
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		active, err := cdp.Call(ctx, t, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.activeElement"})
		if err != nil {
			return err
		}
		alone := false
		tree, err := cdp.Call(ctx, t, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{
			ObjectID: active.Result.ObjectID, FetchRelatives: &alone,
		})
		if err == nil && len(tree.Nodes) > 0 {
			e = element{said(tree.Nodes[0].Role), said(tree.Nodes[0].Name)}
		}
		return err
	}))
	return e
}
