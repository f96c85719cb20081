// One answered probe through the C API of libfastcontainer-probe, beside the least that the kernel charges
// for it and the designs of other programs; over loopback and over a veth, alone and beside 1,000 probers of
// other processes. Compare within one run; the times of two runs mean nothing.
#include <benchmark/benchmark.h>
#include <fastcontainer.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "benchmarks/probe_lab.h"
#include "benchmarks/probe_peers.h"
#ifdef FASTCONTAINER_OPING
#include <oping.h>
#endif

namespace {

struct Path {
  const char* name;
  const char* address;
};
constexpr Path kPaths[] = {{"loopback", lab::kLoopback}, {"veth", lab::kFar}};
constexpr int kCrowdProcesses = 10;
constexpr int kProbersEach = 100;

std::string no_lab;  // why not

// Runs `ask` (0 or errno) and reports the median: a mean is the business of whoever preempts us.
template <typename Ask>
void Measure(benchmark::State& state, const Ask& ask) {
  std::vector<int64_t> times;
  times.reserve(static_cast<size_t>(state.max_iterations));
  int64_t before = lab::Now();
  for ([[maybe_unused]] auto _ : state) {
    const int error = ask();
    if (error != 0) {
      state.SkipWithError(std::strerror(error));
      return;
    }
    const int64_t after = lab::Now();
    times.push_back(after - before);
    before = after;
  }
  const auto median = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), median, times.end());
  state.counters["p50"] = static_cast<double>(*median);
}

void Floor(benchmark::State& state, const sockaddr_in& to) {
  BareEcho bare;
  const int error = bare.Open();
  if (error != 0) {
    state.SkipWithError("no ICMP socket: set net.ipv4.ping_group_range, or run as root");
    return;
  }
  Measure(state, [&] { return bare.Exchange(to); });
}

void Probe(benchmark::State& state, const sockaddr_in& to) {
  fc_error error = FC_ERROR_INIT;
  fc_prober* prober = nullptr;
  if (fc_prober_create(&prober, nullptr, &error) != FC_OK) {
    state.SkipWithError(error.message);
    return;
  }
  int verdict = -1;
  const fc_probe_cb take = [](void* user_data, const fc_probe_result* result) {
    *static_cast<int*>(user_data) = result->verdict;
  };
  Measure(state, [&] {
    fc_prober_probe(prober, reinterpret_cast<const sockaddr*>(&to), sizeof(to), nullptr, take, &verdict,
                    nullptr);
    while (fc_prober_process(prober) == 0) {
    }
    return verdict == FC_VERDICT_UP ? 0 : EHOSTDOWN;
  });
  fc_prober_destroy(prober);
}

void NewSocket(benchmark::State& state, const sockaddr_in& to) {
  Measure(state, [&] {
    int error;
    return AskByNewRawSocket(to, lab::kSecond, &error) ? 0 : error != 0 ? error : EHOSTDOWN;
  });
}

#ifdef FASTCONTAINER_OPING
void Oping(benchmark::State& state, const char* address) {
  pingobj_t* const ping = ping_construct();
  if (ping_host_add(ping, address) != 0) {
    state.SkipWithError(ping_get_error(ping));
  } else {
    Measure(state, [&] { return ping_send(ping) == 1 ? 0 : EHOSTDOWN; });
  }
  ping_destroy(ping);
}
#endif

// Holds `kProbersEach` probers, or raw sockets as one for each target, and says so by closing `ready`.
int HoldOpen(bool raw, int ready) {
  for (int i = 0; i < kProbersEach; ++i) {
    fc_prober* prober = nullptr;
    if (raw ? socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0
            : fc_prober_create(&prober, nullptr, nullptr) != FC_OK)
      return 1;
  }
  if (write(ready, "", 1) != 1) return 1;
  for (;;) pause();
}

template <typename Measured>
void Crowded(benchmark::State& state, bool raw, const Measured& measured) {
  int ready[2];
  pid_t children[kCrowdProcesses];
  if (pipe(ready) != 0) return state.SkipWithError("pipe");
  for (pid_t& child : children) child = lab::Spawn([&] { return HoldOpen(raw, ready[1]); });
  close(ready[1]);
  bool all = true;
  for (char byte; pid_t child : children) all = child > 0 && read(ready[0], &byte, 1) == 1 && all;
  if (all) {
    measured();
  } else {
    state.SkipWithError("the crowd cannot be opened");
  }
  for (const pid_t child : children) lab::End(child);
  close(ready[0]);
}

template <typename Body>
void Register(const std::string& name, const Path& path, const Body& body) {
  benchmark::RegisterBenchmark((name + "_" + path.name).c_str(), [path, body](benchmark::State& state) {
    if (!no_lab.empty() && std::strcmp(path.address, lab::kLoopback) != 0) {
      state.SkipWithError(no_lab.c_str());
    } else {
      body(state, path.address);
    }
  });
}

void RegisterAll() {
  for (const Path& path : kPaths) {
    Register("floor", path, [](benchmark::State& state, const char* to) { Floor(state, lab::Address(to)); });
    Register("probe", path, [](benchmark::State& state, const char* to) { Probe(state, lab::Address(to)); });
    Register("new_socket", path,
             [](benchmark::State& state, const char* to) { NewSocket(state, lab::Address(to)); });
#ifdef FASTCONTAINER_OPING
    Register("oping", path, [](benchmark::State& state, const char* to) { Oping(state, to); });
#endif
  }
  Register("crowded", kPaths[1], [](benchmark::State& state, const char* to) {
    Crowded(state, false, [&] { Probe(state, lab::Address(to)); });
  });
  Register("crowded_raw", kPaths[1], [](benchmark::State& state, const char* to) {
    Crowded(state, true, [&] { NewSocket(state, lab::Address(to)); });
  });
}

}  // namespace

int main(int argc, char** argv) {
  no_lab = lab::Open();
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  RegisterAll();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
