#include "lib/dispatcher/check.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace fastcontainer {

ListenCheck::~ListenCheck() {
  for (auto& [fd, attempt] : attempts_) {
    reactor_.CancelTimer(attempt.timer);
    if (fd < 0) continue;
    reactor_.Unwatch(fd);
    close(fd);
  }
}

void ListenCheck::Start(const Address& address, Nanos deadline, Callback callback) {
  sockaddr_storage storage{};
  const socklen_t length = address.ToSockaddr(&storage);
  const int fd = socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  bool connecting = false;
  bool refused = false;
  if (fd >= 0) {
    const int failed = connect(fd, reinterpret_cast<const sockaddr*>(&storage), length);
    refused = failed != 0 && errno == ECONNREFUSED;
    connecting = failed != 0 && errno == EINPROGRESS;
  }
  if (connecting && reactor_
                        .Watch(fd, EPOLLOUT,
                               [this, fd](uint32_t) {
                                 int error = 0;
                                 socklen_t size = sizeof(error);
                                 getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
                                 Finish(fd, error != ECONNREFUSED);
                               })
                        .ok()) {
    Attempt& attempt = attempts_[fd];
    attempt.callback = std::move(callback);
    attempt.timer = reactor_.At(deadline, [this, fd] { Finish(fd, true); });
    return;
  }
  // Decided already; told in the next round, and not at all if this object goes before.
  const int key = fd >= 0 ? fd : --no_descriptor_;
  Attempt& attempt = attempts_[key];
  attempt.callback = std::move(callback);
  attempt.timer = reactor_.At(reactor_.Now(), [this, key, refused] { Finish(key, !refused); });
}

void ListenCheck::Finish(int fd, bool listens) {
  const auto found = attempts_.find(fd);
  Callback callback = std::move(found->second.callback);
  reactor_.CancelTimer(found->second.timer);
  attempts_.erase(found);
  if (fd >= 0) {
    reactor_.Unwatch(fd);
    close(fd);
  }
  callback(listens);
}

bool PortIsFree(const Address& address) {
  sockaddr_storage storage{};
  const socklen_t length = address.ToSockaddr(&storage);
  const int fd = socket(address.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  // Connections in TIME_WAIT do not hold the port for a server that sets this option too.
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  const bool in_use =
      bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0 && errno == EADDRINUSE;
  close(fd);
  return !in_use;
}

}  // namespace fastcontainer
