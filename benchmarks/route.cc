// A warm route and the end of its ticket through the C ABI, against a bare hash map look-up of the same keys:
// 100,000 keys, 90 % of the traffic on 1,000 of them; with --cached, 1,000,000 keys that are all as likely.
// One process holds a router and a dispatcher whose containers are scripted.
#include <benchmark/benchmark.h>
#include <fastcontainer.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"

extern "C" void* __libc_malloc(size_t size);
static thread_local uint64_t g_allocations = 0;
// Every allocation of the process, those of the shared library included, comes through here.
extern "C" void* malloc(size_t size) {
  ++g_allocations;
  return __libc_malloc(size);
}

namespace {

size_t g_keys = 100'000;
size_t g_hot_percent = 90;
constexpr size_t kHotKeys = 1'000;
constexpr size_t kContainers = 10'000;
constexpr size_t kSequence = 1 << 20;
constexpr size_t kSlice = 1 << 12;  // routes between two calls of fc_engine_process

fc_str Str(const std::string& text) { return {text.data(), text.size()}; }

[[noreturn]] void Die(const char* what, const fc_error& error) {
  std::fprintf(stderr, "route: %s: %s\n", what, error.message);
  std::exit(1);
}

struct Cloud {
  fc_engine* engine = nullptr;
  fc_dispatcher* dispatcher = nullptr;
  std::vector<std::string> keys;
  std::vector<uint32_t> sequence;  // which key each request asks for
  absl::flat_hash_map<std::string, const std::string*> bare;
  size_t pending = 0;
  bool ready = false;

  void Process() const {
    pollfd p{fc_engine_fd(engine), POLLIN, 0};
    poll(&p, 1, 1);
    fc_engine_process(engine, 0);
  }
};

// Where the containers are said to listen does not matter: nobody connects.
int32_t StartContainer(void* user_data, fc_op op, const fc_start_request*) {
  fc_result result{};
  result.struct_size = sizeof(result);
  fc_op_complete(static_cast<Cloud*>(user_data)->engine, op, &result);
  return FC_OK;
}

int32_t StopContainer(void* user_data, fc_op op, fc_str, uint64_t) {
  return StartContainer(user_data, op, nullptr);
}

void Put(Cloud& cloud, uint32_t kind, const std::string& name, const std::string& json) {
  char key[1024];
  const int32_t length = fc_record_key(kind, Str(name), key, sizeof(key));
  fc_mutation put{FC_PUT, 0, {key, static_cast<size_t>(length)}, Str(json), 0};
  fc_error error = FC_ERROR_INIT;
  ++cloud.pending;
  const int32_t code = fc_cmdb_txn(
      cloud.engine, nullptr, 0, &put, 1, 0, nullptr,
      [](void* user_data, const fc_result*) { --static_cast<Cloud*>(user_data)->pending; }, &cloud, &error);
  if (code < 0) Die("fc_cmdb_txn", error);
}

void Routed(void* user_data, int32_t code, const fc_ticket* ticket, const fc_error* error) {
  auto* cloud = static_cast<Cloud*>(user_data);
  if (code != FC_OK) Die("fc_route", *error);
  fc_ticket_end(cloud->engine, ticket->id, nullptr);
  --cloud->pending;
}

// Routes a key until it is warm; waits for at most 100 at once.
void Warm(Cloud& cloud, const std::string& key) {
  fc_ticket ticket = FC_TICKET_INIT;
  const int32_t code = fc_route(cloud.engine, Str(key), nullptr, &ticket, nullptr, Routed, &cloud);
  if (code == FC_OK) fc_ticket_end(cloud.engine, ticket.id, nullptr);
  if (code == FC_PENDING) ++cloud.pending;
  while (cloud.pending > 100) cloud.Process();
}

void MakeKeys(Cloud& cloud) {
  std::mt19937 random(1);
  for (size_t i = 0; i < g_keys; ++i) {
    cloud.keys.push_back("customer-" + std::to_string(i) + ".example.test");
    cloud.bare.emplace(cloud.keys.back(), nullptr);
  }
  for (size_t i = 0; i < kSequence; ++i) {
    const bool hot = random() % 100 < g_hot_percent;
    cloud.sequence.push_back(static_cast<uint32_t>(random() % (hot ? kHotKeys : g_keys)));
  }
}

std::string ContainerName(size_t i) { return std::string(1, 'c').append(std::to_string(i)); }

Cloud* MakeCloud() {
  auto* cloud = new Cloud();
  MakeKeys(*cloud);
  fc_error error = FC_ERROR_INIT;
  fc_engine_options options;
  fc_engine_options_init(&options);
  options.cmdb_url = {"memory:", 7};
  options.freshness_ns = 60'000'000'000;  // the question here is what a warm route costs
  if (fc_engine_create(&cloud->engine, &options, &error) != FC_OK) Die("fc_engine_create", error);

  fc_runtime_vtable runtime{};
  runtime.struct_size = sizeof(runtime);
  runtime.start = StartContainer;
  runtime.stop = StopContainer;
  fc_dispatcher_options host;
  fc_dispatcher_options_init(&host);
  host.host = {"h1", 2};
  host.address = {"127.0.0.1", 9};
  host.port = 17070;
  host.max_starts = 1'000;
  host.max_containers = 2 * kContainers;
  host.port_first = 2'000;
  host.port_last = 62'000;
  host.runtime_vtable = &runtime;
  host.runtime_user_data = cloud;
  const int32_t made = fc_dispatcher_create(
      &cloud->dispatcher, cloud->engine, &host,
      [](void* user_data, int32_t code, const fc_error* why) {
        if (code != FC_OK) Die("dispatcher", *why);
        static_cast<Cloud*>(user_data)->ready = true;
      },
      cloud, &error);
  if (made != FC_OK) Die("fc_dispatcher_create", error);
  while (!cloud->ready) cloud->Process();

  for (size_t i = 0; i < kContainers; ++i)
    Put(*cloud, FC_RECORD_SPEC, ContainerName(i), R"({"v":1,"command":["x"],"concurrency":1000})");
  for (size_t i = 0; i < g_keys; ++i)
    Put(*cloud, FC_RECORD_KEY, cloud->keys[i],
        std::string(R"({"container":")").append(ContainerName(i % kContainers)).append(R"("})"));
  while (cloud->pending > 0) cloud->Process();
  for (int round = 0; round < 2; ++round) {
    for (const std::string& key : cloud->keys) Warm(*cloud, key);
    while (cloud->pending > 0) cloud->Process();
  }
  return cloud;
}

Cloud& TheCloud() {
  static Cloud* cloud = MakeCloud();
  return *cloud;
}

void BareLookup(benchmark::State& state) {
  Cloud& cloud = TheCloud();
  size_t i = 0;
  for (auto _ : state) {
    const auto found = cloud.bare.find(cloud.keys[cloud.sequence[i++ & (kSequence - 1)]]);
    benchmark::DoNotOptimize(found->second);
  }
}
BENCHMARK(BareLookup);

// As requests come: a look-up begins when the one before it is over. In BareLookup the processor begins
// several at once and waits for their cache misses together.
void BareLookupOneByOne(benchmark::State& state) {
  Cloud& cloud = TheCloud();
  size_t i = 0;
  for (auto _ : state) {
    const auto found = cloud.bare.find(cloud.keys[cloud.sequence[i & (kSequence - 1)]]);
    i += 1 + reinterpret_cast<uintptr_t>(found->second);  // no branch that could be foreseen
    benchmark::DoNotOptimize(i);
  }
}
BENCHMARK(BareLookupOneByOne);

void RouteAndEnd(benchmark::State& state) {
  Cloud& cloud = TheCloud();
  // While something else was measured nobody renewed the leases, and the containers have left.
  for (const std::string& key : cloud.keys) Warm(cloud, key);
  while (cloud.pending > 0) cloud.Process();
  fc_ticket ticket = FC_TICKET_INIT;
  size_t i = 0;
  uint64_t cold = 0;
  uint64_t allocations = 0;
  uint64_t before = g_allocations;
  for (auto _ : state) {
    const std::string& key = cloud.keys[cloud.sequence[i & (kSequence - 1)]];
    const int32_t code = fc_route(cloud.engine, Str(key), nullptr, &ticket, nullptr, Routed, &cloud);
    if (code == FC_OK) {
      fc_ticket_end(cloud.engine, ticket.id, nullptr);
      i += 1 + (ticket.epoch >> 63);  // as in BareLookupOneByOne
    } else {
      ++i;
      ++cold;
      if (code == FC_PENDING) ++cloud.pending;
    }
    if (i % kSlice == 0) {  // leases are renewed as in a proxy's loop, outside of the measurement
      state.PauseTiming();
      allocations += g_allocations - before;
      fc_engine_process(cloud.engine, 0);
      before = g_allocations;
      state.ResumeTiming();
    }
  }
  allocations += g_allocations - before;
  while (cloud.pending > 0) cloud.Process();
  state.counters["cold"] = static_cast<double>(cold);
  state.counters["allocations_per_route"] =
      static_cast<double>(allocations) / static_cast<double>(state.iterations());
}
BENCHMARK(RouteAndEnd);

uint64_t g_trapped = 0;

// Counts the system calls of 100,000 warm routes: all that the kernel would have seen are trapped instead.
uint64_t CountSystemCalls(Cloud& cloud) {
  struct sigaction action {};
  action.sa_sigaction = [](int, siginfo_t*, void*) { ++g_trapped; };
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSYS, &action, nullptr);
  const auto allow = [](uint32_t number) -> std::vector<sock_filter> {
    return {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  };
  std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const uint32_t number : {SYS_rt_sigreturn, SYS_write, SYS_exit_group}) {
    const std::vector<sock_filter> rule = allow(number);
    program.insert(program.end(), rule.begin(), rule.end());
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  for (size_t i = 0; i < kHotKeys; ++i) Warm(cloud, cloud.keys[i]);
  while (cloud.pending > 0) cloud.Process();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    return ~0ull;
  fc_ticket ticket = FC_TICKET_INIT;
  for (size_t i = 0; i < 100'000; ++i) {
    if (fc_route(cloud.engine, Str(cloud.keys[i % kHotKeys]), nullptr, &ticket, nullptr, Routed, &cloud) ==
        FC_OK)
      fc_ticket_end(cloud.engine, ticket.id, nullptr);
  }
  return g_trapped;
}

}  // namespace

int main(int argc, char** argv) {
  const bool cached = argc > 1 && std::string_view(argv[1]) == "--cached";
  if (cached) {
    g_keys = 1'000'000;
    g_hot_percent = 0;
    argv[1] = argv[0];
    --argc;
    ++argv;
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  if (cached) return 0;
  // Last, for the filter cannot be taken off again.
  const uint64_t calls = CountSystemCalls(TheCloud());
  char line[96];
  const int length = std::snprintf(line, sizeof(line), "system calls in 100000 warm routes: %llu\n",
                                   static_cast<unsigned long long>(calls));
  if (write(STDERR_FILENO, line, static_cast<size_t>(length)) < 0) _exit(1);
  _exit(calls == 0 ? 0 : 1);
}
