#include "benchmarks/probe_lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace lab {
namespace {

int far_namespace = -1;

bool WriteFile(const char* path, const std::string& text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

std::string Problem(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

// Root of a user namespace may make network namespaces, where the system lets anybody have one.
std::string BecomeRoot() {
  if (geteuid() == 0) return "";
  const std::string user = "0 " + std::to_string(geteuid()) + " 1";
  const std::string group = "0 " + std::to_string(getegid()) + " 1";
  if (unshare(CLONE_NEWUSER) != 0 || !WriteFile("/proc/self/setgroups", "deny") ||
      !WriteFile("/proc/self/uid_map", user) || !WriteFile("/proc/self/gid_map", group))
    return "needs root, or a user namespace";
  return "";
}

std::string Shell(const std::string& commands) {
  if (std::system(("set -e; " + commands).c_str()) == 0) return "";
  return "iproute2 cannot set up the namespaces";
}

std::string NewNamespace(int* fd) {
  if (unshare(CLONE_NEWNET) != 0) return Problem("a network namespace");
  if (fd == nullptr) return "";
  *fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  return *fd < 0 ? Problem("/proc/self/ns/net") : "";
}

std::string Connect(int near_namespace) {
  const std::string far = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(far_namespace);
  std::string error =
      Shell(std::string("ip link set lo up; ip link add near0 type veth peer name far0 netns ") + far +
            "; ip address add " + kNear + "/24 dev near0; ip link set near0 up");
  if (!error.empty()) return error;
  if (setns(far_namespace, CLONE_NEWNET) != 0) return Problem("setns");
  // A local route answers for each of its addresses; what is not local is not forwarded either: silence.
  error = Shell(std::string("ip link set lo up; ip address add ") + kFar +
                "/24 dev far0; ip link set far0 up; ip route add local 10.88.0.0/16 dev lo");
  if (setns(near_namespace, CLONE_NEWNET) != 0) return Problem("setns");
  if (!error.empty()) return error;
  return Shell(std::string("ip route add 10.88.0.0/16 via ") + kFar + "; ip route add 10.89.0.0/16 via " +
               kFar);
}

}  // namespace

std::string Open() {
  std::string error = BecomeRoot();
  if (error.empty()) error = NewNamespace(&far_namespace);
  int near_namespace = -1;
  if (error.empty()) error = NewNamespace(&near_namespace);
  if (error.empty()) error = Connect(near_namespace);
  if (!error.empty()) return error;
  close(near_namespace);
  const std::string group = std::to_string(getegid());
  if (!WriteFile("/proc/sys/net/ipv4/ping_group_range", group + " " + group))
    return Problem("ping_group_range");
  return "";
}

sockaddr_in Address(const char* numeric, uint32_t plus) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  inet_pton(AF_INET, numeric, &out.sin_addr);
  out.sin_addr.s_addr = htonl(ntohl(out.sin_addr.s_addr) + plus);
  return out;
}

int64_t Now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

pid_t Spawn(const std::function<int()>& work, Side side) {
  std::fflush(nullptr);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it has ended between the two
  if (side == Side::kPeer && setns(far_namespace, CLONE_NEWNET) != 0) _exit(1);
  _exit(work());
}

void End(pid_t child) {
  if (child <= 0) return;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

Hogs::Hogs(int count, int seconds) : count_(count < kMost ? count : kMost) {
  for (int i = 0; i < count_; ++i) {
    children_[i] = Spawn([seconds] {
      const int64_t end = Now() + seconds * kSecond;
      for (volatile uint64_t work = 0; Now() < end;)
        for (int turns = 0; turns < 10'000; ++turns) work = work + 1;
      return 0;
    });
  }
}

Hogs::~Hogs() {
  for (int i = 0; i < count_; ++i) End(children_[i]);
}

bool Pin(int nth) {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof(all), &all) != 0 || nth >= CPU_COUNT(&all)) return false;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &all) || nth-- > 0) continue;
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof(one), &one) == 0;
  }
  return false;
}

}  // namespace lab
