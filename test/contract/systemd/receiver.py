"""Receives datagrams on the unix socket named by the argument, and prints each as one line of JSON."""
import json
import socket
import sys

receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print(json.dumps("ready"), flush=True)
while True:
    message = receiver.recv(65536).decode()
    # The sender asks whether everything before was received. The kernel closes the file that comes with it, which is the answer.
    if message != "BARRIER=1":
        print(json.dumps(message), flush=True)
