// Connects with root.pem, client.pem and client.key, asks for the protocols that it is given, and reads a byte.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

func main() {
	root, _ := os.ReadFile("root.pem")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	pair, err := tls.LoadX509KeyPair("client.pem", "client.key")
	if err == nil {
		var connection *tls.Conn
		connection, err = tls.Dial("tcp", os.Args[1], &tls.Config{
			RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{pair}, NextProtos: os.Args[2:],
		})
		if err == nil {
			_, err = connection.Read(make([]byte, 1))
		}
	}
	fmt.Println(err)
}
