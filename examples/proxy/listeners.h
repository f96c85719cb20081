// The listening sockets. There are as many as workers: each of several sockets on one address gets its share
// of the connections from the kernel (SO_REUSEPORT, socket(7)).
#ifndef FASTCONTAINER_EXAMPLES_PROXY_LISTENERS_H_
#define FASTCONTAINER_EXAMPLES_PROXY_LISTENERS_H_

#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <vector>

namespace proxy {

// More clients than wait for a worker that is busy for a moment, or is being started again.
inline constexpr int kBacklog = 4096;

// Takes those of `inherited` that listen on `address`, and opens more until there are `count`. Fails if
// another program has the port; *error then begins with `field`.
bool OpenListeners(const char* field, const sockaddr_storage& address, size_t count,
                   std::vector<int>* inherited, std::vector<int>* sockets, std::string* error);

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_LISTENERS_H_
