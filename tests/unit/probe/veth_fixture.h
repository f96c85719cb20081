// Two network namespaces and a cable between them: the test is in one, its targets in the other.
#ifndef FASTCONTAINER_TESTS_UNIT_PROBE_VETH_FIXTURE_H_
#define FASTCONTAINER_TESTS_UNIT_PROBE_VETH_FIXTURE_H_

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <fstream>
#include <list>
#include <sstream>
#include <utility>

#include "lib/probe/control.h"
#include "tests/unit/probe/net_namespace.h"

namespace fastcontainer {

inline SocketAddress MakeAddress(const std::string& host, uint16_t port) {
  SocketAddress out{};
  if (host.find(':') != std::string::npos) {
    out.family = AF_INET6;
    inet_pton(AF_INET6, host.c_str(), &out.v6.sin6_addr);
  } else {
    out.family = AF_INET;
    inet_pton(AF_INET, host.c_str(), &out.v4.sin_addr);
  }
  SetSocketPort(&out, htons(port));
  return out;
}

// A file descriptor that a test owns.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  ~OwnedFd() {
    if (fd_ >= 0) close(fd_);
  }
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// In the peer's namespace: `.1` is the test's end of the cable, `.2` and `.3` are the peer's; what lies
// behind the peer is 10.8.0.0/24 and fd08::/64, which it forwards.
class VethTest : public NetNamespace, public testing::WithParamInterface<sa_family_t> {
 protected:
  static constexpr uint16_t kOpenPort = 7001;
  static constexpr uint16_t kClosedPort = 7002;

  void SetUp() override {
    NetNamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    home_ = OwnedFd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    NetNamespace::SetUp();
    peer_ = OwnedFd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(setns(home_.get(), CLONE_NEWNET), 0);
    Run("ip link add cable type veth peer name cable netns /proc/" + std::to_string(getpid()) + "/fd/" +
        std::to_string(peer_.get()));
    Run("ip link set cable up; ip address add 10.9.0.1/24 dev cable;"
        "ip address add fd09::1/64 dev cable nodad; ip address add fd09::11/64 dev cable nodad;"
        "ip address add 10.9.0.11/24 dev cable");
    RunInPeer(
        "ip link set cable up; ip address add 10.9.0.2/24 dev cable; ip address add 10.9.0.3/24 dev cable;"
        "ip address add fd09::2/64 dev cable nodad; ip address add fd09::3/64 dev cable nodad;"
        "ip link add back type veth peer name away; ip link set back up; ip link set away up; ip address add "
        "10.8.0.254/24 dev back;"
        "ip address add fd08::fe/64 dev back nodad;"
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    Run("ip route add 10.8.0.0/24 via 10.9.0.2; ip route add fd08::/64 via fd09::2");
  }

  bool v6() const { return GetParam() == AF_INET6; }
  std::string Name(const char* host) const { return (v6() ? "fd09::" : "10.9.0.") + std::string(host); }
  SocketAddress Peer(uint16_t port, const char* host = "2") const { return MakeAddress(Name(host), port); }
  SocketAddress Loopback(uint16_t port) const { return MakeAddress(v6() ? "::1" : "127.0.0.1", port); }
  SocketAddress BehindPeer(uint16_t port) const { return MakeAddress(v6() ? "fd08::1" : "10.8.0.1", port); }

  template <typename Function>
  auto InPeer(const Function& function) const {
    EXPECT_EQ(setns(peer_.get(), CLONE_NEWNET), 0);
    auto result = function();
    EXPECT_EQ(setns(home_.get(), CLONE_NEWNET), 0);
    return result;
  }
  void RunInPeer(const std::string& command) const {
    EXPECT_EQ(InPeer([&] { return std::system(command.c_str()); }), 0) << command;
  }
  // `rule` in a chain of its own at the peer's (or the test's) `hook`.
  static std::string Filter(const std::string& hook, const std::string& rule) {
    return "nft 'add table inet t; add chain inet t " + hook + " { type filter hook " + hook +
           " priority 0; }; add rule inet t " + hook + " " + rule + "'";
  }
  std::string RejectWith(const char* v4_type, const char* v6_type) const {
    return v6() ? "reject with icmpv6 type " + std::string(v6_type)
                : "reject with icmp type " + std::string(v4_type);
  }

  // Bound to `address` in the peer.
  OwnedFd PeerSocket(int type, const SocketAddress& address) const {
    return InPeer([&] {
      OwnedFd fd(socket(address.family, type | SOCK_CLOEXEC, 0));
      EXPECT_EQ(bind(fd.get(), &address.any, SocketLength(address.family)), 0) << strerror(errno);
      if (type == SOCK_STREAM) {
        EXPECT_EQ(listen(fd.get(), 4096), 0);
      }
      return fd;
    });
  }

  // How many TCP sockets of the family are in `state`, as /proc numbers them, in this thread's namespace.
  int TcpSockets(int state) const {
    std::ifstream file(v6() ? "/proc/thread-self/net/tcp6" : "/proc/thread-self/net/tcp");
    std::string line;
    std::getline(file, line);
    int count = 0;
    while (std::getline(file, line)) {
      std::istringstream fields(line);
      std::string number, local, remote, hex;
      fields >> number >> local >> remote >> hex;
      count += std::stoi(hex, nullptr, 16) == state;
    }
    return count;
  }

  static bool Readable(int fd) {
    pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, 0) > 0;
  }

  // The first thing that is not ENOMSG, as a loop would come by it.
  template <typename Transport>
  static int WaitAnswer(Transport* transport, Answer* out) {
    for (;;) {
      const int error = transport->Receive(out);
      if (error != ENOMSG && error != EAGAIN) return error;
      if (error == ENOMSG) continue;
      pollfd p = {transport->fd(), POLLIN, 0};
      if (poll(&p, 1, 30'000) == 0) return ETIMEDOUT;
    }
  }
  template <typename Transport>
  static int WaitFailure(Transport* transport, Failure* out) {
    for (;;) {
      Answer answer;
      const int received = transport->Receive(&answer);
      if (received == 0) return ENODATA;
      int error;
      while ((error = transport->ReceiveFailure(out)) == ENOMSG) {
      }
      if (error != EAGAIN) return error;
      pollfd p = {transport->fd(), POLLIN, 0};
      if (received == EAGAIN && poll(&p, 1, 30'000) == 0) return ETIMEDOUT;
    }
  }
  template <typename Transport>
  static void ExpectNothing(Transport* transport) {
    Answer answer;
    Failure failure;
    int error;
    while ((error = transport->Receive(&answer)) == ENOMSG) {
    }
    EXPECT_EQ(error, EAGAIN);
    while ((error = transport->ReceiveFailure(&failure)) == ENOMSG) {
    }
    EXPECT_EQ(error, EAGAIN);
  }

  template <typename Transport>
  static void ExpectAnswers(Transport* transport, int count) {
    for (int i = 0; i < count; ++i) {
      Answer answer;
      ASSERT_EQ(WaitAnswer(transport, &answer), 0);
    }
  }

  // A packet of its own tag; `options_` apply.
  Outgoing Make(const SocketAddress& target, uint32_t packet = 0, uint64_t cookie = 0) {
    targets_.push_back(target);
    Outgoing out;
    out.target = &targets_.back();
    out.options = &options_;
    out.sequence = ++sequence_;
    out.tag = {cookie != 0 ? cookie : 0x1234567800000000u + sequence_, sequence_, packet};
    return out;
  }
  static bool SameTag(const PacketTag& a, const PacketTag& b) {
    return a.cookie == b.cookie && a.slot == b.slot && a.packet == b.packet;
  }

  PacketOptions options_;

 private:
  OwnedFd home_;
  OwnedFd peer_;
  std::list<SocketAddress> targets_;
  uint16_t sequence_ = 0;
};

// Every IP packet that comes into the namespace in which it is made, whatever a packet filter does with it.
class Sniffer {
 public:
  explicit Sniffer(sa_family_t family)
      : family_(family),
        fd_(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(family == AF_INET6 ? ETH_P_IPV6 : ETH_P_IP))) {
  }

  struct Packet {
    uint8_t dscp = 0;
    uint8_t ttl = 0;
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    std::vector<uint8_t> ip;  // the header
    std::vector<uint8_t> transport;
  };
  // The next one of `protocol`; waits for it.
  Packet Take(uint8_t protocol) const {
    const bool v6 = family_ == AF_INET6;
    for (;;) {
      uint8_t buffer[4096];
      pollfd p = {fd_.get(), POLLIN, 0};
      if (poll(&p, 1, 30'000) <= 0) break;
      const ssize_t got = recv(fd_.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (got < 40 || buffer[v6 ? 6 : 9] != protocol) continue;
      Packet out;
      const size_t header = v6 ? 40 : size_t{buffer[0] & 0x0fu} * 4;
      out.dscp = static_cast<uint8_t>(v6 ? (buffer[0] & 0x0f) << 2 | buffer[1] >> 6 : buffer[1] >> 2);
      out.ttl = buffer[v6 ? 7 : 8];
      out.ip.assign(buffer, buffer + header);
      out.transport.assign(buffer + header, buffer + got);
      out.source_port = static_cast<uint16_t>(out.transport[0] << 8 | out.transport[1]);
      out.destination_port = static_cast<uint16_t>(out.transport[2] << 8 | out.transport[3]);
      return out;
    }
    ADD_FAILURE() << "no packet arrived";
    Packet none;
    none.ip.resize(40);
    none.transport.resize(40);
    return none;
  }

 private:
  const sa_family_t family_;
  OwnedFd fd_;
};

inline std::string FamilyName(const testing::TestParamInfo<sa_family_t>& info) {
  return info.param == AF_INET6 ? "Ipv6" : "Ipv4";
}

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_PROBE_VETH_FIXTURE_H_
