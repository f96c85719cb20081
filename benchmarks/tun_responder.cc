#include "benchmarks/tun_responder.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "benchmarks/probe_lab.h"

namespace {

constexpr char kDevice[] = "late0";
constexpr uint32_t kSilentNet = 10u << 24 | 99u << 16 | 255u << 8;  // 10.99.255.0/24

// Turns a request into its reply; false for what is not to be answered.
bool Answer(uint8_t* bytes, size_t size, const std::string& only_payload) {
  iphdr ip;
  if (size < sizeof(ip)) return false;
  std::memcpy(&ip, bytes, sizeof(ip));
  const size_t header = size_t{ip.ihl} * 4;
  if (ip.version != 4 || ip.protocol != IPPROTO_ICMP || size < header + 8 || bytes[header] != ICMP_ECHO)
    return false;
  if ((ntohl(ip.daddr) & 0xffffff00u) == kSilentNet) return false;
  if (size < header + 8 + only_payload.size() ||
      std::memcmp(bytes + header + 8, only_payload.data(), only_payload.size()) != 0)
    return false;
  std::swap(ip.saddr, ip.daddr);  // leaves the sum as it is
  std::memcpy(bytes, &ip, sizeof(ip));
  bytes[header] = ICMP_ECHOREPLY;
  uint16_t checksum;
  std::memcpy(&checksum, bytes + header + 2, sizeof(checksum));
  const uint32_t sum = uint32_t{ntohs(checksum)} + (ICMP_ECHO << 8);  // RFC 1624: the type is the only change
  checksum = htons(static_cast<uint16_t>((sum & 0xffff) + (sum >> 16)));
  std::memcpy(bytes + header + 2, &checksum, sizeof(checksum));
  return true;
}

}  // namespace

int64_t DelayDistribution::Draw(std::mt19937_64* random) const {
  double ms;
  std::uniform_real_distribution<double> share;
  if (share(*random) < tail_share) {
    ms = tail_from_ms * std::pow(1 - share(*random), -1 / tail_exponent);
  } else {
    ms = std::lognormal_distribution<double>(std::log(body_median_ms), body_sigma)(*random);
  }
  return static_cast<int64_t>(std::min(ms, most_ms) * 1e6);
}

TunResponder::~TunResponder() {
  if (device_ >= 0) close(device_);
  if (late_ != nullptr) munmap(late_, sizeof(Late));
}

std::string TunResponder::Open() {
  device_ = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::memcpy(request.ifr_name, kDevice, sizeof(kDevice));
  if (device_ < 0 || ioctl(device_, TUNSETIFF, &request) != 0)
    return std::string("/dev/net/tun: ") + std::strerror(errno);
  void* const shared = mmap(nullptr, sizeof(Late), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return "no shared memory";
  late_ = static_cast<Late*>(shared);
  const std::string commands =
      std::string("ip link set late0 txqueuelen 10000 up; ip route add 10.99.0.0/16 dev late0 src ") +
      lab::kNear;
  return std::system(commands.c_str()) == 0 ? "" : "iproute2 cannot set up the TUN device";
}

void TunResponder::Serve(const DelayDistribution& delays, uint64_t seed, const std::string& only_payload) {
  random_.seed(seed);
  prctl(PR_SET_TIMERSLACK, 1UL);
  // The delays are to be those that were drawn, whoever else computes; where that is refused some are longer.
  const sched_param priority = {1};
  sched_setscheduler(0, SCHED_FIFO, &priority);
  for (;;) {
    const int64_t now = lab::Now();
    if (!waiting_.empty() && now - waiting_.top().due > lab::kMillisecond) NoteLate(waiting_.top().due, now);
    SendDue(now);
    const int64_t wait = waiting_.empty() ? lab::kSecond : std::max(waiting_.top().due - now, int64_t{0});
    const timespec timeout = {wait / lab::kSecond, wait % lab::kSecond};
    pollfd fd = {device_, POLLIN, 0};
    if (ppoll(&fd, 1, &timeout, nullptr) > 0) Read(delays, only_payload);
  }
}

void TunResponder::NoteLate(int64_t from, int64_t to) {
  const uint32_t at = late_->count;
  if (at == kMostSpans) return;
  late_->spans[at].from = from;
  late_->spans[at].to = to;
  late_->count = at + 1;
}

bool TunResponder::WasLate(int64_t from, int64_t to) const {
  for (uint32_t i = 0, count = late_->count; i < count; ++i)
    if (late_->spans[i].from < to && late_->spans[i].to > from) return true;
  return false;
}

void TunResponder::Read(const DelayDistribution& delays, const std::string& only_payload) {
  Reply reply;
  // Not for ever: what is due must leave meanwhile.
  for (int reads = 0; reads < 32; ++reads) {
    const ssize_t got = read(device_, reply.bytes, sizeof(reply.bytes));
    if (got < 0) return;
    reply.size = static_cast<uint32_t>(got);
    if (!Answer(reply.bytes, reply.size, only_payload)) continue;
    reply.due = lab::Now() + delays.Draw(&random_);
    waiting_.push(reply);
  }
}

void TunResponder::SendDue(int64_t now) {
  for (; !waiting_.empty() && waiting_.top().due <= now; waiting_.pop())
    if (write(device_, waiting_.top().bytes, waiting_.top().size) < 0) return;
}
