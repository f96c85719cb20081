#include "lib/engine/engine_core.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/dispatch/udp.h"
#include "lib/probe/reactor_prober.h"

namespace fastcontainer {
namespace {

// Two engines of one process must not share a name: receivers keep one replay window for each.
std::string DefaultName() {
  static std::atomic<uint32_t> engines{0};
  std::array<char, 65> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::string name = absl::StrCat(host[0] != '\0' ? host.data() : "localhost", "-", getpid());
  const uint32_t number = ++engines;
  if (number > 1) absl::StrAppend(&name, "-", number);
  return name;
}

uint64_t RandomSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine::Core>> Engine::Core::Create(EngineOptions options) {
  std::unique_ptr<Core> core(new Core());
  core->log = std::move(options.log);
  core->hook = std::move(options.hook);
  core->policy = std::move(options.policy);
  if (absl::Status status = core->ReadKeys(options); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<EpollReactor>> reactor = EpollReactor::Create();
  if (!reactor.ok()) return absl::InternalError(reactor.status().message());
  core->reactor = *std::move(reactor);
  core->boot = static_cast<uint64_t>(core->reactor->WallNow());
  if (absl::Status status = core->OpenProberOf(); !status.ok()) return status;
  if (absl::Status status = core->OpenCmdbOf(options); !status.ok()) return status;
  if (absl::Status status = core->MakeRouter(std::move(options.router), options.cmdb_url); !status.ok())
    return status;
  return core;
}

Engine::Core::~Core() { Shutdown(); }

void Engine::Core::Shutdown() {
  // Callbacks run in here; they find no router and are told so.
  router.reset();
  std::exchange(dispatchers, {}).clear();
  removed.clear();
}

void Engine::Core::DestroyLater(std::unique_ptr<DispatcherHost> dispatcher) {
  removed.push_back(std::move(dispatcher));
  // What is deferred may outlive this object's parts, hence they are not handed to the closure.
  if (removed.size() == 1) reactor->Defer([this] { std::exchange(removed, {}).clear(); });
}

void Engine::Core::Log(LogLevel level, std::string_view message) {
  if (log) log(level, "engine", message);
}

absl::Status Engine::Core::ReadKeys(const EngineOptions& options) {
  if (!options.cluster_key_file.empty()) {
    absl::StatusOr<std::vector<ClusterKey>> read = ReadClusterKeyFile(options.cluster_key_file);
    if (!read.ok()) return read.status();
    keys = *std::move(read);
    key_file = options.cluster_key_file;
  }
  if (options.bind_address.empty()) return absl::OkStatus();
  const absl::StatusOr<Address> parsed = Address::Parse(options.bind_address);
  if (!parsed.ok())
    return absl::InvalidArgumentError(
        absl::StrCat("bind_address: \"", options.bind_address,
                     "\" is not a numeric IPv4 or IPv6 address, with or without a port"));
  if (keys.empty() && !parsed->IsLoopback())
    return absl::PermissionDeniedError(
        absl::StrCat("bind_address: ", parsed->ToString(),
                     " is not a loopback address, which needs a cluster key file (cluster_key_file)"));
  bind = *parsed;
  return absl::OkStatus();
}

absl::Status Engine::Core::ReloadKeys() {
  if (key_file.empty())
    return absl::InvalidArgumentError("cluster_key_file: this engine was made without one");
  absl::StatusOr<std::vector<ClusterKey>> read = ReadClusterKeyFile(key_file);
  if (!read.ok()) return read.status();
  keys = *std::move(read);
  if (router != nullptr) router->SetKeys(keys);
  for (const auto& dispatcher : dispatchers) dispatcher->core().OnKeys();
  Log(LogLevel::kInfo,
      absl::StrCat("cluster key file read: signs with ", ClusterKeyName(keys.front()),
                   keys.size() > 1 ? absl::StrCat(", accepts ", ClusterKeyName(keys.back()), " too") : ""));
  return absl::OkStatus();
}

absl::Status Engine::Core::OpenProberOf() {
  std::string problem;
  absl::StatusOr<std::unique_ptr<Prober>> opened = OpenProber(*reactor, &problem);
  if (!opened.ok()) return absl::InternalError(opened.status().message());
  prober = *std::move(opened);
  // Not an error: the dispatchers' own answers say whether their hosts live.
  if (prober->mechanism() == ProbeMechanism::kNone)
    Log(LogLevel::kWarning, absl::StrCat("hosts are judged by their dispatchers alone: ", problem));
  return absl::OkStatus();
}

absl::Status Engine::Core::OpenCmdbOf(const EngineOptions& options) {
  if (options.cmdb) {
    if (!options.cmdb_url.empty()) return absl::InvalidArgumentError("cmdb_url, cmdb: one of them, not both");
    cmdb = std::make_unique<CountedCmdb>(options.cmdb(*reactor));
    return absl::OkStatus();
  }
  if (options.cmdb_url.empty())
    return absl::InvalidArgumentError(
        "cmdb_url: required; accepted are memory:NAME, sqlite:/absolute/path, etcd://HOST:PORT and "
        "postgresql://HOST/DATABASE");
  absl::StatusOr<std::unique_ptr<Cmdb>> opened = OpenCmdb(options.cmdb_url, *reactor);
  if (!opened.ok()) return opened.status();
  cmdb = std::make_unique<CountedCmdb>(*std::move(opened));
  return absl::OkStatus();
}

absl::Status Engine::Core::MakeRouter(RouterOptions options, const std::string& cmdb_url) {
  if (options.name.empty()) options.name = DefaultName();
  options.seed = RandomSeed();
  const Address local = bind ? bind : *Address::Parse(keys.empty() ? "127.0.0.1" : "0.0.0.0");
  absl::StatusOr<std::unique_ptr<UdpSocket>> socket = UdpSocket::Create(*reactor, local);
  if (!socket.ok()) {
    if (absl::IsInvalidArgument(socket.status()) || absl::IsPermissionDenied(socket.status()))
      return socket.status();
    return absl::InternalError(socket.status().message());
  }
  auto channel = std::make_unique<Channel>(*std::move(socket), keys, options.name, boot);
  const RouterPorts ports{*reactor,
                          *cmdb,
                          *prober,
                          policy.get(),
                          hook ? &hook : nullptr,
                          log ? &log : nullptr,
                          SnapshotSeal{cmdb_url, keys},
                          &scores};
  router = std::make_unique<Router>(ports, std::move(channel), std::move(options));
  return absl::OkStatus();
}

DispatcherPorts Engine::Core::ForDispatchers() {
  return DispatcherPorts{*reactor, *cmdb, hook ? &hook : nullptr, log ? &log : nullptr, keys, bind, boot};
}

}  // namespace fastcontainer
