"""Servers of the simulated internet, in a separate network namespace: `server.py ADDRESS` serves TCP, UDP and DNS.

They listen on every address of the namespace and resolve every name to ADDRESS. Prints a line when it is ready.
"""

from __future__ import annotations

import socket
import sys
import threading

TCP_PORT, UDP_PORT, DNS_PORT = 8080, 8081, 53
RESPONSE_FLAGS, TYPE_A = b"\x81\x80", b"\x00\x01"


def serve_tcp(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"internet")


def serve_udp(sock: socket.socket) -> None:
    while True:
        data, sender = sock.recvfrom(2048)
        sock.sendto(data, sender)


def serve_dns(sock: socket.socket, address: str) -> None:
    while True:
        query, sender = sock.recvfrom(2048)
        end = query.index(b"\0", 12) + 5
        is_known = query[end - 4 : end - 2] == TYPE_A
        answer_record = (
            b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04" + socket.inet_aton(address) if is_known else b""
        )
        counts = b"\x00\x01" + (b"\x00\x01" if is_known else b"\x00\x00") + b"\x00" * 4
        sock.sendto(query[:2] + RESPONSE_FLAGS + counts + query[12:end] + answer_record, sender)


def datagram_socket(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", port))  # noqa: S104  in a separate network namespace
    return sock


if __name__ == "__main__":
    listener, resolver = (
        socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) for port in (TCP_PORT, DNS_PORT)
    )
    for work, arguments in (
        (serve_tcp, (listener,)),
        (serve_tcp, (resolver,)),
        (serve_udp, (datagram_socket(UDP_PORT),)),
        (serve_dns, (datagram_socket(DNS_PORT), sys.argv[1])),
    ):
        threading.Thread(target=work, args=arguments, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()  # until the parent process closes the pipe
