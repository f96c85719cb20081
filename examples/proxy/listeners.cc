#include "examples/proxy/listeners.h"

#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "examples/proxy/config.h"

namespace proxy {

namespace {

socklen_t Length(const sockaddr_storage& address) {
  return address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

// -1 and errno, if it fails.
int Bound(const sockaddr_storage& address, bool shared) {
  const int made = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return -1;
  const int on = 1;
  setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) setsockopt(made, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (bind(made, reinterpret_cast<const sockaddr*>(&address), Length(address)) == 0 &&
      listen(made, kBacklog) == 0)
    return made;
  const int why = errno;
  close(made);
  errno = why;
  return -1;
}

bool IsAt(int socket, const sockaddr_storage& address) {
  sockaddr_storage name = {};
  socklen_t length = sizeof name;
  return getsockname(socket, reinterpret_cast<sockaddr*>(&name), &length) == 0 &&
         FormatAddress(name) == FormatAddress(address);
}

}  // namespace

bool OpenListeners(const char* field, const sockaddr_storage& address, size_t count,
                   std::vector<int>* inherited, std::vector<int>* sockets, std::string* error) {
  const auto here = std::stable_partition(inherited->begin(), inherited->end(),
                                          [&](int socket) { return !IsAt(socket, address); });
  sockets->assign(here, inherited->end());
  inherited->erase(here, inherited->end());
  const auto fail = [&] {
    *error = std::string(field) + " " + FormatAddress(address) + ": " + std::strerror(errno);
    return false;
  };
  if (sockets->empty()) {
    // One that shares would be let in beside any other of this user that shares, unseen.
    const int alone = Bound(address, /*shared=*/false);
    if (alone < 0) return fail();
    close(alone);
  }
  while (sockets->size() < count) {
    const int made = Bound(address, /*shared=*/true);
    if (made < 0) return fail();
    sockets->push_back(made);
  }
  return true;
}

}  // namespace proxy
