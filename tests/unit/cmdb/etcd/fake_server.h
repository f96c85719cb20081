// An HTTP/2 server that says what a test wants it to say, right or wrong.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_FAKE_SERVER_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_FAKE_SERVER_H_

#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <utility>

#include "tests/unit/cmdb/etcd/forwarder.h"

namespace fastcontainer::etcd {

enum FrameType : uint8_t { kData = 0, kHeaders = 1, kRstStream = 3, kSettings = 4, kPing = 6, kGoAway = 7 };

inline std::string Number32(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xffu));
  return out;
}

// RFC 9113, section 4.1.
inline std::string Frame(FrameType type, uint8_t flags, uint32_t stream, std::string_view payload) {
  std::string out = Number32(static_cast<uint32_t>(payload.size())).substr(1);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  return out + Number32(stream) + std::string(payload);
}

// RFC 7541, section 6.2.2: a literal that is not indexed.
inline std::string Field(std::string_view name, std::string_view value) {
  std::string out(1, '\0');
  for (const std::string_view text : {name, value}) {
    out.push_back(static_cast<char>(text.size()));
    out.append(text);
  }
  return out;
}

inline std::string Response(uint32_t stream) {
  return Frame(kHeaders, 0x4, stream, "\x88" + Field("content-type", "application/grpc"));
}
inline std::string Trailers(uint32_t stream, std::string_view status, std::string_view message = "") {
  return Frame(kHeaders, 0x5, stream, Field("grpc-status", status) + Field("grpc-message", message));
}
inline std::string Message(uint32_t stream, std::string_view message) {
  return Frame(kData, 0, stream,
               std::string(1, '\0') + Number32(static_cast<uint32_t>(message.size())) + std::string(message));
}

// On the reactor of the test.
class FakeServer {
 public:
  // What is sent at once, and what after each request (its stream).
  FakeServer(Reactor& reactor, std::string greeting, std::function<std::string(uint32_t stream)> answer)
      : reactor_(reactor), greeting_(std::move(greeting)), answer_(std::move(answer)) {
    (void)reactor_.Watch(listener_.fd(), EPOLLIN, [this](uint32_t) { Accept(); });
  }
  ~FakeServer() {
    reactor_.Unwatch(listener_.fd());
    for (const Peer& peer : peers_) reactor_.Unwatch(peer.fd.get());
  }
  std::string url() const { return listener_.url(); }
  uint16_t port() const { return listener_.port(); }
  int requests() const { return requests_; }
  int connections() const { return connections_; }
  int resets() const { return resets_; }
  bool acknowledges_pings = true;

 private:
  struct Peer {
    UniqueFd fd;
    std::string in;
    bool preface = false;
  };
  void Accept() {
    ++connections_;
    Peer* const peer = &peers_.emplace_back();
    peer->fd = UniqueFd(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    Send(*peer, greeting_);
    (void)reactor_.Watch(peer->fd.get(), EPOLLIN, [this, peer](uint32_t) { Read(*peer); });
  }
  void Read(Peer& peer) {
    char buffer[65'536];
    const ssize_t got = recv(peer.fd.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) return reactor_.Unwatch(peer.fd.get());
    peer.in.append(buffer, static_cast<size_t>(got));
    if (!peer.preface && peer.in.size() >= 24) {
      peer.in.erase(0, 24);
      peer.preface = true;
    }
    while (peer.preface && peer.in.size() >= 9) {
      const auto byte = [&peer](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(peer.in[i])); };
      const size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
      if (peer.in.size() < 9 + size) return;
      const uint32_t stream = byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
      OnFrame(peer, byte(3), byte(4), stream, peer.in.substr(9, size));
      peer.in.erase(0, 9 + size);
    }
  }
  void OnFrame(Peer& peer, uint32_t type, uint32_t flags, uint32_t stream, const std::string& payload) {
    if (type == kRstStream) ++resets_;
    if (type == kPing && flags == 0 && acknowledges_pings) Send(peer, Frame(kPing, 1, 0, payload));
    // A request is whole with its first body: the client sends it in one frame.
    if (type != kData || payload.empty()) return;
    ++requests_;
    Send(peer, answer_(stream));
  }
  static void Send(const Peer& peer, const std::string& bytes) {
    if (!bytes.empty()) (void)!send(peer.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  Reactor& reactor_;
  const std::string greeting_;
  const std::function<std::string(uint32_t)> answer_;
  Listener listener_;
  std::list<Peer> peers_;
  int requests_ = 0;
  int connections_ = 0;
  int resets_ = 0;
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_ETCD_FAKE_SERVER_H_
