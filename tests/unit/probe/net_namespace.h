// A network of its own for each test: a fresh namespace with loopback up, so that sysctls, routes and packet
// filters can be changed, and packets counted and forged, without touching the machine.
#ifndef FASTCONTAINER_TESTS_UNIT_PROBE_NET_NAMESPACE_H_
#define FASTCONTAINER_TESTS_UNIT_PROBE_NET_NAMESPACE_H_

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "lib/probe/echo_packet.h"

namespace fastcontainer {

inline bool WriteFile(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return ok;
}

inline sockaddr_in Ipv4(const char* address) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  inet_pton(AF_INET, address, &out.sin_addr);
  return out;
}

// Drops a capability of this thread for as long as it lives.
class WithoutCapability {
 public:
  explicit WithoutCapability(int capability) {
    syscall(SYS_capget, &header_, before_);
    __user_cap_data_struct after[2] = {before_[0], before_[1]};
    after[capability / 32].effective &= ~(1u << (capability % 32));
    syscall(SYS_capset, &header_, after);
  }
  ~WithoutCapability() { syscall(SYS_capset, &header_, before_); }
  WithoutCapability(const WithoutCapability&) = delete;
  WithoutCapability& operator=(const WithoutCapability&) = delete;

 private:
  __user_cap_header_struct header_ = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[2] = {};
};

class NetNamespace : public testing::Test {
 protected:
  void SetUp() override {
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    if (uid == 0) {
      if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "no network namespace: " << strerror(errno);
    } else {
      if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        GTEST_SKIP() << "no user namespace: " << strerror(errno);
      WriteFile("/proc/self/setgroups", "deny");
      WriteFile("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
      WriteFile("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1");
    }
    BringLoopbackUp();
    // A group beyond one's own cannot be named in a user namespace that has mapped no other.
    ASSERT_TRUE(WriteFile("/proc/sys/net/ipv4/ping_group_range", "0 0"));
  }

  // Goes to another namespace, since a new one allows nobody a ping socket.
  static void ForbidPing() {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    BringLoopbackUp();
  }
  // Hosts stay silent, yet RawIcmp sees what they are asked.
  static void IgnoreEchoes(bool ignore) {
    ASSERT_TRUE(WriteFile("/proc/sys/net/ipv4/icmp_echo_ignore_all", ignore ? "1" : "0"));
  }
  // Runs a program of iproute2 or nftables.
  static void Run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

 private:
  static void BringLoopbackUp() {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    ASSERT_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
  }
};

// Sees the ICMP packets that arrive in the namespace, and forges others.
class RawIcmp {
 public:
  RawIcmp() : fd_(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)) {}
  ~RawIcmp() { close(fd_); }
  RawIcmp(const RawIcmp&) = delete;
  RawIcmp& operator=(const RawIcmp&) = delete;

  // The ICMP part of each echo request that has arrived since the last call.
  std::vector<std::vector<uint8_t>> TakeRequests() {
    std::vector<std::vector<uint8_t>> out;
    uint8_t buffer[256];
    ssize_t got;
    while ((got = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
      const size_t header = Ipv4HeaderLength(buffer, static_cast<size_t>(got));
      if (buffer[header] == ICMP_ECHO) out.emplace_back(buffer + header, buffer + got);
    }
    return out;
  }

  // Sends an echo reply to 127.0.0.1.
  static void Reply(const char* from, std::vector<uint8_t> echo) {
    echo[0] = ICMP_ECHOREPLY;
    Send(from, std::move(echo));
  }

  // Sends an ICMP error that quotes the first `quoted` bytes of `echo`, which went to `target`.
  static void Error(uint8_t type, uint8_t code, const char* target, const std::vector<uint8_t>& echo,
                    size_t quoted = kEchoLength) {
    iphdr ip{};
    ip.version = 4;
    ip.ihl = 5;
    ip.ttl = 64;
    ip.protocol = IPPROTO_ICMP;
    ip.tot_len = htons(static_cast<uint16_t>(sizeof(ip) + echo.size()));
    ip.saddr = Ipv4("127.0.0.1").sin_addr.s_addr;
    ip.daddr = Ipv4(target).sin_addr.s_addr;
    std::vector<uint8_t> packet = {type, code, 0, 0, 127, 0, 0, 9};  // the gateway, for a redirect
    const auto* const header = reinterpret_cast<const uint8_t*>(&ip);
    packet.insert(packet.end(), header, header + sizeof(ip));
    packet.insert(packet.end(), echo.begin(), echo.begin() + static_cast<ptrdiff_t>(quoted));
    Send("127.0.0.1", std::move(packet));
  }

 private:
  static void Send(const char* from, std::vector<uint8_t> packet) {
    packet[2] = packet[3] = 0;
    const uint16_t checksum = InternetChecksum(packet.data(), packet.size());
    memcpy(packet.data() + 2, &checksum, sizeof(checksum));
    const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    const sockaddr_in source = Ipv4(from);
    const sockaddr_in to = Ipv4("127.0.0.1");
    ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof(source)), 0);
    ASSERT_EQ(sendto(fd, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)),
              static_cast<ssize_t>(packet.size()));
    close(fd);
  }

  const int fd_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_PROBE_NET_NAMESPACE_H_
