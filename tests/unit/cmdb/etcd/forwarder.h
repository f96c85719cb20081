// A path to a server that can be cut, and of which one direction can be held up.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_FORWARDER_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_FORWARDER_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <list>
#include <string>

#include "fastcontainer/reactor.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer::etcd {

inline sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// A socket that listens on a free port of 127.0.0.1, or on that one.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address = Loopback(0);
    socklen_t length = sizeof(address);
    if (bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(fd_.get(), 16) != 0 ||
        getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
      std::abort();
    port_ = ntohs(address.sin_port);
  }
  int fd() const { return fd_.get(); }
  uint16_t port() const { return port_; }
  std::string url() const { return "etcd://127.0.0.1:" + std::to_string(port_); }

 private:
  UniqueFd fd_;
  uint16_t port_ = 0;
};

// On the reactor of the test. Writes block, and are small.
class Forwarder {
 public:
  Forwarder(Reactor& reactor, uint16_t target) : reactor_(reactor), target_(target) {
    (void)reactor_.Watch(listener_.fd(), EPOLLIN, [this](uint32_t) { Accept(); });
  }
  ~Forwarder() {
    Cut();
    reactor_.Unwatch(listener_.fd());
  }
  std::string url() const { return listener_.url(); }
  // Ends all connections; new ones are ended at once until Restore().
  void Cut() {
    open_ = false;
    while (!pairs_.empty()) Drop(&pairs_.front());
  }
  void Restore() { open_ = true; }
  // What the server says stays on the way from now on.
  void HoldAnswers() { hold_ = true; }
  void ReleaseAnswers() { hold_ = false; }
  size_t to_server() const { return to_server_; }  // bytes

 private:
  struct Pair {
    UniqueFd client;
    UniqueFd server;
  };
  void Accept() {
    UniqueFd client(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!open_ || !client.valid()) return;
    UniqueFd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = Loopback(target_);
    if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return;
    Pair* const pair = &pairs_.emplace_back(Pair{std::move(client), std::move(server)});
    (void)reactor_.Watch(pair->client.get(), EPOLLIN, [this, pair](uint32_t) {
      Move(pair, pair->client.get(), pair->server.get(), &to_server_);
    });
    (void)reactor_.Watch(pair->server.get(), EPOLLIN, [this, pair](uint32_t) {
      if (hold_) return Hold(pair);
      Move(pair, pair->server.get(), pair->client.get(), nullptr);
    });
  }
  // What is held is lost: the connection is cut before it goes on.
  void Hold(Pair* pair) {
    char buffer[65'536];
    if (recv(pair->server.get(), buffer, sizeof(buffer), 0) <= 0) Drop(pair);
  }
  void Move(Pair* pair, int from, int to, size_t* count) {
    char buffer[65'536];
    const ssize_t got = recv(from, buffer, sizeof(buffer), 0);
    if (got <= 0 || send(to, buffer, static_cast<size_t>(got), MSG_NOSIGNAL) != got) return Drop(pair);
    if (count != nullptr) *count += static_cast<size_t>(got);
  }
  void Drop(Pair* pair) {
    reactor_.Unwatch(pair->client.get());
    reactor_.Unwatch(pair->server.get());
    pairs_.remove_if([pair](const Pair& each) { return &each == pair; });
  }

  Reactor& reactor_;
  const uint16_t target_;
  Listener listener_;
  bool open_ = true;
  bool hold_ = false;
  size_t to_server_ = 0;
  std::list<Pair> pairs_;
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_FORWARDER_H_
