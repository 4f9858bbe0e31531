package keel_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The package's own files, of all build tags.
func sources(t *testing.T) map[string]*ast.File {
	files := map[string]*ast.File{}
	for _, path := range must(filepath.Glob("*.go"))(t) {
		if !strings.HasSuffix(path, "_test.go") {
			text := must(os.ReadFile(path))(t)
			files[path] = must(parser.ParseFile(token.NewFileSet(), path, text, parser.ParseComments))(t)
		}
	}
	if len(files) < 20 {
		t.Fatalf("only %d files were found", len(files))
	}
	return files
}

// called yields each call in a body as "receiver.name" or "name", with its first argument where that is a name.
func called(body ast.Node, yield func(receiver, name, argument string)) {
	ast.Inspect(body, func(node ast.Node) bool {
		call, is := node.(*ast.CallExpr)
		if !is {
			return true
		}
		argument := ""
		if len(call.Args) > 0 {
			argument = word(call.Args[0])
		}
		if selector, is := call.Fun.(*ast.SelectorExpr); is {
			yield(word(selector.X), selector.Sel.Name, argument)
		} else {
			yield("", word(call.Fun), argument)
		}
		return true
	})
}

func word(expression ast.Expr) string {
	if name, is := expression.(*ast.Ident); is {
		return name.Name
	}
	return ""
}

// unkept lists the objects whose handle a function reads, and which it does not keep alive until the call is over.
func unkept(function *ast.FuncDecl) []string {
	read, kept := map[string]bool{}, map[string]bool{}
	called(function.Body, func(receiver, name, argument string) {
		switch {
		case name == "id" || name == "release":
			read[receiver] = true
		case name == "KeepAlive":
			kept[argument] = true
		}
	})
	var found []string
	for name := range read {
		if !kept[name] {
			found = append(found, name)
		}
	}
	return found
}

func TestWhatIsReadIsKeptAlive(t *testing.T) {
	checked := 0
	for path, file := range sources(t) {
		for _, declared := range file.Decls {
			if function, is := declared.(*ast.FuncDecl); is {
				for _, name := range unkept(function) {
					t.Errorf("%s: %s reads the handle of %s without runtime.KeepAlive", path, function.Name.Name, name)
				}
				checked++
			}
		}
	}
	if checked < 150 {
		t.Fatalf("only %d functions were found", checked)
	}
}

func TestEveryFunctionOfTheABIIsUsed(t *testing.T) {
	files := sources(t)
	used := map[string]bool{}
	for path, file := range files {
		if path != "raw.go" {
			ast.Inspect(file, func(node ast.Node) bool {
				if name, is := node.(*ast.Ident); is {
					used[name.Name] = true
				}
				return true
			})
		}
	}
	count := 0
	for _, declared := range files["raw.go"].Decls {
		if function, is := declared.(*ast.FuncDecl); is {
			count++
			if !used[function.Name.Name] {
				t.Errorf("nothing calls %s", function.Name.Name)
			}
		}
	}
	if count < 70 {
		t.Fatalf("only %d functions were found", count)
	}
}

func TestEveryExportedNameIsDocumented(t *testing.T) {
	for path, file := range sources(t) {
		for _, declared := range file.Decls {
			for _, name := range undocumented(declared) {
				t.Errorf("%s: %s has no doc that begins with its name", path, name)
			}
		}
	}
}

func undocumented(declared ast.Decl) (names []string) {
	report := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		for _, doc := range docs {
			if !name.IsExported() || strings.HasPrefix(doc.Text(), name.Name) {
				return
			}
		}
		names = append(names, name.Name)
	}
	switch declared := declared.(type) {
	case *ast.FuncDecl:
		report(declared.Name, declared.Doc)
	case *ast.GenDecl:
		for _, spec := range declared.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				report(spec.Name, declared.Doc, spec.Doc)
			case *ast.ValueSpec:
				report(spec.Names[0], declared.Doc, spec.Doc)
			}
		}
	}
	return names
}
