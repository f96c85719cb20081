// delay_icmp: a path that takes its time. Echo requests that are routed into its TUN device leave later, by
// delays from a seeded distribution. It decorates the path and not the prober, because fc-proxy has to be the
// program that users get: unmodified, linked to the C ABI alone, and judging real packets by the kernel's
// stamps. When it ends, its device and the routes by it are gone, and the path is as short as before.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <queue>
#include <random>
#include <utility>
#include <vector>

namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMillisecond = 1'000'000;
constexpr size_t kMostWaiting = 65'536;  // what comes beyond is lost, as on any path

constexpr const char kUsage[] =
    "usage: delay_icmp [option...]\n"
    "  --device NAME     of the TUN device (late0)\n"
    "  --mark N          of what it sends, so that a rule can keep it from coming back (102)\n"
    "  --delay MIN:MAX   ms, uniform (0:0)\n"
    "  --tail P:MIN:MAX  a share P of the requests has a delay of MIN to MAX ms instead\n"
    "  --only ADDRESS    delays requests to this address alone\n"
    "  --seed N          of the delays (1)\n"
    "  --seconds S       ends after so long, at the latest (180)\n"
    "Says \"ready\" when the device is there; SIGTERM ends it, and it prints what it has seen as JSON.\n";

struct Options {
  const char* device = "late0";
  int mark = 102;
  double delay_min = 0, delay_max = 0;
  double tail_share = 0, tail_min = 0, tail_max = 0;
  in_addr only{};
  uint64_t seed = 1;
  int64_t seconds = 180;
};

struct Packet {
  int64_t due;
  uint64_t number;  // of two that are due at once the earlier one leaves first
  std::vector<char> bytes;
  bool operator>(const Packet& other) const {
    return std::pair(due, number) > std::pair(other.due, other.number);
  }
};

volatile sig_atomic_t asked_to_end = 0;
void AskToEnd(int) { asked_to_end = 1; }

int64_t Now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * kSecond + t.tv_nsec;
}

bool Parse(int argc, char** argv, Options* out) {
  static const option kOptions[] = {
      {"device", required_argument, nullptr, 'd'},  {"mark", required_argument, nullptr, 'm'},
      {"delay", required_argument, nullptr, 'r'},   {"tail", required_argument, nullptr, 't'},
      {"only", required_argument, nullptr, 'o'},    {"seed", required_argument, nullptr, 's'},
      {"seconds", required_argument, nullptr, 'e'}, {nullptr, 0, nullptr, 0}};
  for (int c; (c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    bool good = true;
    if (c == 'd') out->device = optarg;
    if (c == 'm') out->mark = atoi(optarg);
    if (c == 'r') good = sscanf(optarg, "%lf:%lf", &out->delay_min, &out->delay_max) == 2;
    if (c == 't') good = sscanf(optarg, "%lf:%lf:%lf", &out->tail_share, &out->tail_min, &out->tail_max) == 3;
    if (c == 'o') good = inet_pton(AF_INET, optarg, &out->only) == 1;
    if (c == 's') out->seed = strtoull(optarg, nullptr, 10);
    if (c == 'e') out->seconds = atoll(optarg);
    if (c == '?' || !good) return false;
  }
  return optind == argc && out->delay_min <= out->delay_max && out->tail_min <= out->tail_max &&
         strlen(out->device) < IFNAMSIZ && out->seconds > 0;
}

int OpenDevice(const char* name) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  memcpy(request.ifr_name, name, strlen(name) + 1);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) return -1;
  return fd;
}

int OpenSocket(int mark) {
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);  // the header comes with the packet
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) != 0) return -1;
  return fd;
}

class Path {
 public:
  Path(const Options& options, int device, int socket)
      : options_(options), device_(device), socket_(socket), random_(options.seed) {}

  void Run() {
    const int64_t end = Now() + options_.seconds * kSecond;
    sigset_t none;
    sigemptyset(&none);
    for (int64_t now = Now(); asked_to_end == 0 && now < end; now = Now()) {
      SendDue(now);
      const int64_t left = (waiting_.empty() ? end : std::min(end, waiting_.top().due)) - now;
      const timespec wait = {left > 0 ? left / kSecond : 0, left > 0 ? left % kSecond : 0};
      pollfd fd = {device_, POLLIN, 0};
      if (ppoll(&fd, 1, &wait, &none) > 0) Read();
    }
  }

  void Print() const {
    printf("{\"requests\":%llu,\"delayed\":%llu,\"others\":%llu,\"lost\":%llu}\n",
           static_cast<unsigned long long>(requests_), static_cast<unsigned long long>(delayed_),
           static_cast<unsigned long long>(others_), static_cast<unsigned long long>(lost_));
  }

 private:
  void Read() {
    char bytes[2048];
    for (ssize_t got; (got = read(device_, bytes, sizeof(bytes))) > 0;) {
      const auto size = static_cast<size_t>(got);
      if (size < sizeof(iphdr) || (bytes[0] & 0xf0) != 0x40)
        continue;  // IPv6 looks for its routers everywhere
      const int64_t delay = Delay(bytes, size);
      if (delay == 0) {
        Send(bytes, size);
      } else if (waiting_.size() < kMostWaiting) {
        ++delayed_;
        waiting_.push({Now() + delay, next_++, std::vector<char>(bytes, bytes + size)});
      } else {
        ++lost_;
      }
    }
  }

  // Of echo requests alone, in the order in which they come: a seed gives the same delays each time.
  int64_t Delay(const char* bytes, size_t size) {
    iphdr ip;
    memcpy(&ip, bytes, sizeof(ip));
    const size_t header = size_t{ip.ihl} * 4;
    if (ip.protocol != IPPROTO_ICMP || size <= header || bytes[header] != ICMP_ECHO) {
      ++others_;
      return 0;
    }
    ++requests_;
    if (options_.only.s_addr != 0 && options_.only.s_addr != ip.daddr) return 0;
    const bool tail = Share() < options_.tail_share;
    const double from = tail ? options_.tail_min : options_.delay_min;
    const double to = tail ? options_.tail_max : options_.delay_max;
    return static_cast<int64_t>((from + (to - from) * Share()) * static_cast<double>(kMillisecond));
  }

  double Share() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

  void SendDue(int64_t now) {
    for (; !waiting_.empty() && waiting_.top().due <= now; waiting_.pop())
      Send(waiting_.top().bytes.data(), waiting_.top().bytes.size());
  }

  void Send(const char* bytes, size_t size) {
    iphdr ip;
    memcpy(&ip, bytes, sizeof(ip));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = ip.daddr;
    if (sendto(socket_, bytes, size, MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) < 0)
      ++lost_;
  }

  const Options& options_;
  const int device_;
  const int socket_;
  std::mt19937_64 random_;
  std::priority_queue<Packet, std::vector<Packet>, std::greater<>> waiting_;
  uint64_t next_ = 0;
  uint64_t requests_ = 0, delayed_ = 0, others_ = 0, lost_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) {
    fputs(kUsage, stderr);
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_TIMERSLACK, 1UL);
  // The delays are to be those that were drawn, on a machine full of hogs too; where that is refused they are
  // longer.
  const sched_param priority = {1};
  sched_setscheduler(0, SCHED_FIFO, &priority);
  struct sigaction action {};
  action.sa_handler = AskToEnd;
  sigaction(SIGTERM, &action, nullptr);
  sigset_t blocked;  // but for ppoll(), so that none comes between the look and the wait
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
  const int device = OpenDevice(options.device);
  const int out = device < 0 ? -1 : OpenSocket(options.mark);
  if (out < 0) {
    fprintf(stderr, "delay_icmp: %s: %s\n", device < 0 ? "/dev/net/tun" : "raw socket", strerror(errno));
    return 1;
  }
  puts("ready");
  fflush(stdout);
  Path path(options, device, out);
  path.Run();
  path.Print();
  return 0;
}
