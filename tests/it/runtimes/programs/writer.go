// Loses races, one after the other, and says what Go showed of each.
//
// Orders come on standard input, a line each: `STEP KEY`. The program reads KEY and prepares the
// step, says `ready`, waits for the line `go`, does it, says what each call came to
// (`CALL: RESULT`), and ends with `done`.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

var orders = bufio.NewScanner(os.Stdin)

var text = []byte("from go")

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func call(name string, err error) {
	switch {
	case err == nil:
		fmt.Printf("%s: ok\n", name)
	case errors.Is(err, syscall.EAGAIN):
		fmt.Printf("%s: EAGAIN\n", name)
	case errors.Is(err, syscall.ESTALE):
		fmt.Printf("%s: ESTALE\n", name)
	default:
		fmt.Printf("%s: %v\n", name, err)
	}
}

func race() {
	fmt.Println("ready")
	if !orders.Scan() || orders.Text() != "go" {
		panic("not an order: " + orders.Text())
	}
}

func read(key string) {
	_, err := os.ReadFile(key)
	check(err)
}

func fsync(key string) {
	read(key)
	file, err := os.OpenFile(key, os.O_RDWR, 0)
	check(err)
	check(file.Truncate(0))
	_, err = file.Write(text)
	check(err)
	race()
	call("fsync", file.Sync())
	_, err = file.Write([]byte(", and more"))
	call("write", err)
	call("close", file.Close())
}

func close(key string) {
	read(key)
	file, err := os.Create(key)
	check(err)
	_, err = file.Write(text)
	check(err)
	race()
	call("close", file.Close())
}

func rename(key string) {
	read(key)
	check(os.WriteFile(key+".new", text, 0o644))
	race()
	call("rename", os.Rename(key+".new", key))
}

func open(key string) {
	read(key)
	race()
	_, err := os.Create(key)
	call("open", err)
}

func whole(key string) {
	race()
	call("WriteFile", os.WriteFile(key, text, 0o644))
}

// The idiom of every tutorial: nobody looks at what Close returns.
func deferred(key string) {
	save := func() error {
		file, err := os.Create(key)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = file.Write(text)
		return err
	}
	race()
	call("defer Close", save())
}

func main() {
	steps := map[string]func(string){
		"fsync":    fsync,
		"close":    close,
		"rename":   rename,
		"open":     open,
		"whole":    whole,
		"deferred": deferred,
	}
	for orders.Scan() {
		step, key, _ := strings.Cut(orders.Text(), " ")
		steps[step](key)
		fmt.Println("done")
	}
}
