// What a load balancer says in front of a connection that it passes on: the PROXY protocol, versions 1 and 2
// (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt).
#ifndef FASTCONTAINER_EXAMPLES_PROXY_PROXY_HEADER_H_
#define FASTCONTAINER_EXAMPLES_PROXY_PROXY_HEADER_H_

#include <sys/socket.h>

#include <cstddef>
#include <string_view>

#include "examples/proxy/output.h"

namespace proxy {

struct ProxyHeader {
  sockaddr_storage source = {};  // of the client; AF_UNSPEC: it is not said, so the connection's own is meant
  size_t size = 0;               // what follows is the client's
};

// kDone: *header is filled in.
Progress ReadProxyHeader(std::string_view data, ProxyHeader* header);

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_PROXY_HEADER_H_
