#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_peers.h"
#include "benchmarks/probe_scenarios.h"

namespace {

constexpr uint32_t kHosts = 10'000;

struct Result {
  int64_t wall = 0, cpu = 0, answered = 0;
  int exit_code = 0;
};

// Shared between the processes.
struct Shared {
  int64_t answered;
  int64_t lost_in_buffer;
};

// Runs it alone on one processor, and counts what it has used, the kernel's work for it included.
Result Run(const std::function<int()>& work) {
  const int64_t begin = lab::Now();
  const pid_t child = lab::Spawn([&] { return lab::Pin(0) ? work() : 1; });
  int status = 0;
  rusage used{};
  while (wait4(child, &status, 0, &used) < 0 && errno == EINTR) {
  }
  Result out;
  out.wall = lab::Now() - begin;
  out.cpu = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * lab::kSecond +
            (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * lab::kMicrosecond;
  out.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return out;
}

int Batches(int64_t rounds, Shared* shared) {
  std::vector<sockaddr_storage> hosts(kHosts);
  for (uint32_t i = 0; i < kHosts; ++i) {
    const sockaddr_in host = lab::Address(lab::kCrowd, i);
    std::memcpy(&hosts[i], &host, sizeof(host));
  }
  Prober prober;
  if (!prober.ok()) return 1;
  const fc_probe_options options = Options(500 * lab::kMillisecond);
  struct Round {
    int64_t done = 0, up = 0;
  } round;
  const fc_batch_cb take = [](void* user_data, size_t, const fc_probe_result* result) {
    Round& counted = *static_cast<Round*>(user_data);
    ++counted.done;
    counted.up += result->verdict == FC_VERDICT_UP;
  };
  for (int64_t i = 1; i <= rounds; ++i) {
    if (fc_prober_batch(prober.get(), hosts.data(), hosts.size(), &options, 0, take, &round, nullptr) < 0)
      return 2;
    while (round.done < i * kHosts) prober.Turn();
  }
  fc_prober_stats stats{};
  stats.struct_size = sizeof(stats);
  fc_prober_get_stats(prober.get(), &stats);
  *shared = {round.up, static_cast<int64_t>(stats.packets_lost)};
  return 0;
}

// The least that the kernel charges: sendmmsg() and recvmmsg() with stamps on one socket, and nothing
// checked.
int BareBatches(int64_t rounds, Shared* shared) {
  constexpr size_t kAtOnce = 64;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);
  const int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0) return 1;
  uint8_t request[24];
  FillEchoRequest(0, 1, request);
  const sockaddr_in first = lab::Address(lab::kCrowd);
  std::vector<std::array<uint8_t, 128>> replies(kAtOnce), controls(kAtOnce);
  std::vector<sockaddr_in> to(kAtOnce), from(kAtOnce);
  std::vector<iovec> out_vectors(kAtOnce, {request, sizeof(request)}), in_vectors(kAtOnce);
  std::vector<mmsghdr> out(kAtOnce), in(kAtOnce);
  for (int64_t probe = 0; probe < rounds * kHosts;) {
    const size_t count = std::min(kAtOnce, static_cast<size_t>(rounds * kHosts - probe));
    for (size_t i = 0; i < count; ++i, ++probe) {
      to[i] = first;
      to[i].sin_addr.s_addr = htonl(ntohl(first.sin_addr.s_addr) + static_cast<uint32_t>(probe % kHosts));
      in_vectors[i] = {replies[i].data(), replies[i].size()};
      out[i].msg_hdr = {&to[i], sizeof(to[i]), &out_vectors[i], 1, nullptr, 0, 0};
      in[i].msg_hdr = {&from[i], sizeof(from[i]), &in_vectors[i], 1, controls[i].data(), controls[i].size(),
                       0};
    }
    sendmmsg(fd, out.data(), static_cast<unsigned>(count), 0);
    for (size_t left = count; left > 0;) {
      timespec wait = {1, 0};
      const int got = recvmmsg(fd, in.data(), static_cast<unsigned>(left), 0, &wait);
      if (got <= 0) return 2;
      left -= static_cast<size_t>(got);
      shared->answered += got;
    }
  }
  return 0;
}

Result Bare(int64_t rounds, Shared* shared) {
  *shared = {};
  Result out = Run([&] { return BareBatches(rounds, shared); });
  out.answered = shared->answered;
  return out;
}

Result Ours(int64_t rounds, Shared* shared) {
  *shared = {};
  Result out = Run([&] { return Batches(rounds, shared); });
  out.answered = shared->answered;
  return out;
}

// As fast as it can: no pause between packets, and the next round as soon as this one is sent.
int Fping(int64_t rounds, int output) {
  const std::string first = lab::kCrowd, count = std::to_string(rounds);
  char last[INET_ADDRSTRLEN];
  const uint32_t address = ntohl(lab::Address(lab::kCrowd, kHosts - 1).sin_addr.s_addr);
  std::snprintf(last, sizeof(last), "%u.%u.%u.%u", address >> 24, address >> 16 & 255, address >> 8 & 255,
                address & 255);
  dup2(output, STDERR_FILENO);
  dup2(output, STDOUT_FILENO);
  execlp("fping", "fping", "-q", "-c", count.c_str(), "-p", "1", "-i", "0", "-t", "500", "-g", first.c_str(),
         last, nullptr);
  return 127;
}

// Lines as "10.88.0.1 : xmt/rcv/%loss = 20/20/0%, min/avg/max = ...".
int64_t Answered(int output) {
  int64_t sum = 0;
  FILE* const file = fdopen(output, "r");
  if (file == nullptr) return 0;
  std::rewind(file);
  char line[256];
  while (std::fgets(line, sizeof(line), file) != nullptr) {
    const char* const figures = std::strstr(line, "%loss = ");
    int sent, received;
    if (figures != nullptr && std::sscanf(figures, "%%loss = %d/%d", &sent, &received) == 2) sum += received;
  }
  std::fclose(file);
  return sum;
}

Result Theirs(int64_t rounds) {
  const int output = memfd_create("fping", MFD_CLOEXEC);
  Result out = Run([&] { return Fping(rounds, output); });
  out.answered = Answered(output);
  return out;
}

void Add(const std::string& name, int64_t probes, std::vector<Result>* runs, Report* report) {
  std::vector<int64_t> wall, cpu;
  int64_t lost = 0;
  for (const Result& run : *runs) {
    wall.push_back(run.wall);
    cpu.push_back(run.cpu);
    lost += probes - run.answered;
  }
  report->Add(name + ".per_second",
              static_cast<double>(probes) * 1e9 / static_cast<double>(Percentile(&wall, 0.5)));
  report->Add(name + ".cpu_ns", static_cast<double>(Percentile(&cpu, 0.5)) / static_cast<double>(probes));
  report->Add(name + ".lost", static_cast<double>(lost));
}

}  // namespace

void Mass(const Arguments& arguments, Report* report) {
  // fping gives each probe a number of 16 bits that is not used again for 10 s: 6 rounds at most.
  const int64_t rounds = std::min(Number(arguments, "rounds", 5), int64_t{6});
  const int64_t repetitions = Number(arguments, "repetitions", 9);
  auto* const shared = static_cast<Shared*>(
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (shared == MAP_FAILED) return report->Skip("mmap");
  std::vector<Result> ours, bare, theirs;
  int64_t lost_in_buffer = 0;
  bool fping = true;
  for (int64_t i = 0; i < repetitions; ++i) {
    ours.push_back(Ours(rounds, shared));
    lost_in_buffer += shared->lost_in_buffer;
    if (ours.back().exit_code != 0) return report->Skip("fc_prober_batch() cannot be used");
    bare.push_back(Bare(rounds, shared));
    if (bare.back().exit_code != 0) return report->Skip("no ping socket for the floor");
    if (fping) theirs.push_back(Theirs(rounds));
    fping = theirs.back().exit_code == 0;
  }
  Add("batch", rounds * kHosts, &ours, report);
  report->Add("batch.lost_in_buffer", static_cast<double>(lost_in_buffer));
  Add("bare", rounds * kHosts, &bare, report);
  if (fping) Add("fping", rounds * kHosts, &theirs, report);
}
