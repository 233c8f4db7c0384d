// Prints the chain events that match a filter, and goes on where it was when the connection breaks.
//
//	cd examples/go && go run . [URL [ASSET…]]
//
// The key comes from TAPEDECK_KEY; the stack on this machine asks for none on /ws.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const (
	firstPause   = 500 * time.Millisecond
	longestPause = 30 * time.Second
	silence      = 90 * time.Second
)

type filters struct {
	Types      []string `json:"types"`
	AccountIDs []string `json:"account_ids"`
	AssetCodes []string `json:"asset_codes"`
	MinAmount  string   `json:"min_amount"`
}

type registration struct {
	Type    string   `json:"type"`
	Filters filters  `json:"filters"`
	Resume  bool     `json:"resume"`
	From    []string `json:"from,omitempty"`
}

type message struct {
	Type       string          `json:"type"`
	Message    string          `json:"message"`
	Code       string          `json:"code"`
	Detail     string          `json:"detail"`
	Ledger     int64           `json:"ledger"`
	ContractID string          `json:"contract_id"`
	Topics     json.RawMessage `json:"topics"`
	Data       json.RawMessage `json:"data"`
	Cursor     string          `json:"cursor"`
	Cursors    []string        `json:"cursors"`
	Recovered  *bool           `json:"recovered"`
	RetryAfter int64           `json:"retry_after"`
}

type events struct {
	url     string
	assets  []string
	cursors map[string]string // the place of the last event of each topic and partition
	wait    time.Duration     // what the server asked for
}

func main() {
	one := events{url: "ws://localhost:8080/ws", cursors: map[string]string{}}
	if len(os.Args) > 1 {
		one.url, one.assets = os.Args[1], os.Args[2:]
	}
	for bound := firstPause; ; bound = min(2*bound, longestPause) {
		one.wait = 0
		registered, err := one.connection()
		if registered {
			bound = firstPause
		}
		// Up to a bound that doubles, so that not all clients come back at once.
		pause := one.wait + time.Duration(rand.Int63n(int64(bound)))
		log.Printf("%v; trying again in %v", err, pause.Round(time.Millisecond))
		time.Sleep(pause)
	}
}

// connection serves one connection to its end.
func (e *events) connection() (registered bool, err error) {
	header := http.Header{}
	if key := os.Getenv("TAPEDECK_KEY"); key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	socket, _, err := websocket.DefaultDialer.Dial(e.url, header)
	if err != nil {
		return false, err
	}
	defer socket.Close()
	if err := socket.WriteJSON(e.registration()); err != nil {
		return false, err
	}
	go ask(socket)
	for {
		socket.SetReadDeadline(time.Now().Add(silence))
		var one message
		if err := socket.ReadJSON(&one); err != nil {
			return registered, err
		}
		registered = registered || one.Type == "registered"
		if err := e.take(one); err != nil {
			return registered, err
		}
	}
}

// ask asks for a pong now and then, so that a connection without events is not taken for dead.
func ask(socket *websocket.Conn) {
	for {
		time.Sleep(silence / 3)
		if err := socket.WriteJSON(map[string]string{"type": "ping"}); err != nil {
			return
		}
	}
}

func (e *events) registration() registration {
	wanted := registration{Type: "register", Resume: true}
	wanted.Filters.AssetCodes = e.assets
	for _, cursor := range e.cursors {
		wanted.From = append(wanted.From, cursor)
	}
	return wanted
}

// take fails when nothing is registered.
func (e *events) take(one message) error {
	switch one.Type {
	case "registered":
		if one.Recovered != nil && !*one.Recovered {
			log.Print("some events are missing here")
		}
		for _, cursor := range one.Cursors {
			e.remember(cursor)
		}
	case "contract_event":
		e.remember(one.Cursor)
		fmt.Println(one.Ledger, one.ContractID, string(one.Topics), string(one.Data))
	case "error":
		err := fmt.Errorf("%s: %s", one.Message, one.Detail)
		if one.Code != "QUEUE_FULL" {
			e.wait = time.Duration(one.RetryAfter) * time.Second
			return err
		}
		log.Print(err)
	}
	return nil
}

func (e *events) remember(cursor string) {
	if part := strings.Split(cursor, ":"); len(part) == 4 {
		e.cursors[part[0]+":"+part[2]] = cursor
	}
}
