#include "tests/sim/cloud.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"

namespace fastcontainer::sim {
namespace {

constexpr uint16_t kDispatcherPort = 7070;
constexpr uint16_t kRouterPort = 40'000;
constexpr Nanos kCmdbDelay = 1 * kMillisecond;
constexpr Nanos kPatience = 2 * kSecond;  // of a dispatcher's reading

Address MachineAddress(int i) { return *Address::Parse(absl::StrCat("10.1.0.", i + 1)); }
Address ProxyAddress(int i) { return *Address::Parse(absl::StrCat("10.2.0.", i + 1)); }

std::vector<ClusterKey> Keys() {
  ClusterKey key{};
  key[0] = 7;
  return {key};
}

}  // namespace

std::string Cloud::Container(int i) { return absl::StrCat("site-", i); }
std::string Cloud::KeyOf(int i) { return absl::StrCat("www", i, ".example.org"); }

Cloud::Cloud(const CloudOptions& options)
    : options_(options),
      world_(options.seed),
      network_(world_),
      store_(std::make_shared<MemoryStore>()),
      invariants_(world_, *store_) {
  for (int i = 0; i < options_.containers; ++i) {
    std::string spec = options_.spec;
    if (i < options_.singles) spec.insert(1, R"("writers":"single",)");
    store_->Put(RecordKey(RecordKind::kSpec, Container(i)), spec);
    store_->Put(RecordKey(RecordKind::kKey, KeyOf(i)), EncodeKey(Key{Container(i)}));
  }
  world_.OnEvent([this] {
    invariants_.Step();
    for (auto& host : hosts_)
      if (host->cmdb != nullptr &&
          (host->cmdb->faults().fail_reads != 0 || host->cmdb->faults().delay > kPatience))
        host->blind_until = world_.now() + 2 * kPatience;
  });
  for (int i = 0; i < options_.machines; ++i) AddMachine(i);
  world_.RunFor(kSecond);
  for (int i = 0; i < options_.proxies; ++i) AddProxy(i);
  world_.RunFor(kSecond);
}

Cloud::~Cloud() {
  world_.OnEvent(nullptr);
  for (auto& proxy : proxies_) proxy->router.reset();
  for (size_t i = 0; i < hosts_.size(); ++i) KillDispatcher(i);
}

void Cloud::AddMachine(int i) {
  machines_.push_back(std::make_unique<Machine>(world_, absl::StrCat("h", i), MachineAddress(i)));
  Machine& machine = *machines_.back();
  machine.load.free_cpu = 8;
  machine.load.free_memory = uint64_t{8} << 30;
  hosts_.push_back(std::make_unique<Host>(machine));
  machine.on_start = [this, host = hosts_.back().get()](const StartRequest& request) {
    const bool blind = world_.now() < host->blind_until;
    invariants_.OnStart(host->machine.name(), request, blind);
  };
  StartDispatcher(static_cast<size_t>(i));
}

void Cloud::StartDispatcher(size_t i) {
  Host& host = *hosts_[i];
  Machine& machine = host.machine;
  host.loop = std::make_unique<SimReactor>(world_);
  host.cmdb = std::make_unique<MemoryCmdb>(store_, *host.loop);
  host.cmdb->faults().delay = kCmdbDelay;
  host.mutant = std::make_unique<MutantCmdb>(options_.dispatcher_mutant, *host.cmdb);
  host.runtime = std::make_unique<SimRuntime>(machine, *host.loop);
  host.log = [this, &machine](LogLevel, std::string_view, std::string_view message) {
    world_.Note(machine.name(), message);
  };
  host.hook = [this](const HookEvent& event) {
    if (event.point == HookPoint::kFence && options_.storage_fence)
      invariants_.OnStorageFence(std::string(event.container), event.epoch);
    return true;
  };
  machine.guarded = options_.dispatcher_mutant != Mutant::kNoSelfFencing;
  DispatcherOptions options;
  options.host = machine.name();
  options.heartbeat = options_.heartbeat;
  options.address = machine.address();
  options.dispatcher_port = kDispatcherPort;
  options.cpu = 8;
  options.memory = uint64_t{8} << 30;
  options.max_starts = 16;
  options.seed = options_.seed * 1'000 + i * 10 + ++host.boots;
  options.load = [&machine] { return machine.load; };
  options.check = [this, &machine, loop = host.loop.get()](const Address& address, Nanos deadline,
                                                           absl::AnyInvocable<void(bool)> callback) {
    const bool slow = world_.Chance(machine.faults.slow_check);
    loop->Input(slow ? deadline - world_.now() : 0,
                [&machine, address, slow, callback = std::move(callback)]() mutable {
                  callback(slow || machine.Listening(address) != nullptr);
                });
  };
  options.port_is_free = [&machine](const Address& address) {
    for (const auto& [id, instance] : machine.instances())
      if (instance.request.address == address) return false;
    return true;
  };
  auto channel = std::make_unique<Channel>(
      std::make_unique<SimSocket>(network_, *host.loop, machine.address().WithPort(kDispatcherPort)), Keys(),
      machine.name(), static_cast<uint64_t>(host.loop->WallNow()));
  host.dispatcher = std::make_unique<Dispatcher>(*host.loop, *host.mutant, std::move(channel), *host.runtime,
                                                 &host.hook, &host.log, std::move(options));
  host.dispatcher->Start([this, &machine](const absl::Status& status) {
    world_.Note(machine.name(), status.ok() ? "dispatcher serves" : "dispatcher cannot serve");
  });
}

void Cloud::KillDispatcher(size_t i) {
  Host& host = *hosts_[i];
  if (host.dispatcher == nullptr) return;
  world_.Note(host.machine.name(), "dispatcher killed");
  // A killed process says nothing any more.
  network_.Unbind(host.machine.address().WithPort(kDispatcherPort));
  host.dispatcher.reset();
  host.runtime.reset();
  host.mutant.reset();
  host.cmdb.reset();
  host.loop.reset();
}

void Cloud::LosePower(size_t i) {
  world_.Note(machines_[i]->name(), "loses power");
  network_.SetDown(machines_[i]->address(), true);
  machines_[i]->LosePower();
  KillDispatcher(i);
}

void Cloud::RestorePower(size_t i) {
  network_.SetDown(machines_[i]->address(), false);
  StartDispatcher(i);
}

void Cloud::FreezeMachine(size_t i) {
  world_.Note(machines_[i]->name(), "frozen");
  machines_[i]->Freeze();
  if (hosts_[i]->loop != nullptr) hosts_[i]->loop->Freeze();
}

void Cloud::ThawMachine(size_t i) {
  world_.Note(machines_[i]->name(), "thawed");
  machines_[i]->Thaw();
  if (hosts_[i]->loop != nullptr) hosts_[i]->loop->Thaw();
}

void Cloud::FreezeDispatcher(size_t i) {
  world_.Note(machines_[i]->name(), "dispatcher frozen");
  if (hosts_[i]->loop != nullptr) hosts_[i]->loop->Freeze();
}

void Cloud::LoseCmdb(MemoryCmdb& cmdb, bool lost) {
  cmdb.faults().fail_reads = lost ? -1 : 0;
  cmdb.faults().fail_txns = lost ? -1 : 0;
  cmdb.faults().fail_leases = lost ? -1 : 0;
  if (lost)
    cmdb.Disconnect();
  else
    cmdb.Reconnect();
}

void Cloud::LoseCmdb(bool lost) {
  world_.Note("cmdb", lost ? "lost" : "back");
  for (auto& host : hosts_)
    if (host->cmdb != nullptr) LoseCmdb(*host->cmdb, lost);
  for (auto& proxy : proxies_) LoseCmdb(*proxy->cmdb, lost);
}

void Cloud::AddProxy(int i) {
  proxies_.push_back(std::make_unique<Proxy>());
  Proxy& proxy = *proxies_.back();
  proxy.name = absl::StrCat("proxy-", i);
  proxy.address = ProxyAddress(i);
  proxy.loop = std::make_unique<SimReactor>(world_);
  proxy.cmdb = std::make_unique<MemoryCmdb>(store_, *proxy.loop);
  proxy.cmdb->faults().delay = kCmdbDelay;
  proxy.mutant = std::make_unique<MutantCmdb>(options_.router_mutant, *proxy.cmdb);
  proxy.prober = std::make_unique<SimProber>(network_, *proxy.loop, proxy.address);
  proxy.log = [this, &proxy](LogLevel, std::string_view, std::string_view message) {
    world_.Note(proxy.name, message);
  };
  RouterOptions router = options_.router;
  router.name = proxy.name;
  router.seed = options_.seed * 100 + static_cast<uint64_t>(i);
  for (int peer = 0; options_.peers && peer < options_.proxies; ++peer)
    if (peer != i) router.peers.push_back(ProxyAddress(peer).WithPort(kRouterPort));
  auto channel = std::make_unique<Channel>(
      std::make_unique<SimSocket>(network_, *proxy.loop, proxy.address.WithPort(kRouterPort)), Keys(),
      proxy.name, static_cast<uint64_t>(proxy.loop->WallNow()));
  const RouterPorts ports{*proxy.loop, *proxy.mutant, *proxy.prober, proxy.policy, nullptr, &proxy.log};
  invariants_.SetBudget(proxy.name, {static_cast<double>(router.relocations_per_second),
                                     static_cast<double>(router.relocation_burst)});
  proxy.router = std::make_unique<Router>(ports, std::move(channel), router);
  Client::Observer observer;
  observer.ticket = [this, &proxy](const Request& request, const Ticket& ticket) {
    invariants_.OnTicket(proxy.name, request, ticket);
  };
  observer.executed = [this](const Request& request, const StartRequest& by) {
    invariants_.OnExecuted(request.host, request, by);
  };
  observer.finished = [this](const Request& request) { invariants_.OnFinished(request); };
  observer.violation = [this](const std::string& what) { invariants_.Violation(what); };
  proxy.client = std::make_unique<Client>(
      world_, network_, *proxy.loop, *proxy.router, proxy.address,
      [this](const Address& address) { return MachineAt(address); }, std::move(observer));
}

Machine* Cloud::MachineAt(const Address& address) {
  for (const auto& machine : machines_)
    if (machine->address() == address.WithPort(0)) return machine.get();
  return nullptr;
}

size_t Cloud::HostOf(int container) const {
  const Invariants::Committed* const placed = invariants_.Current(Container(container));
  for (size_t i = 0; i < machines_.size(); ++i)
    if (placed != nullptr && machines_[i]->name() == placed->host) return i;
  return machines_.size();
}

void Cloud::NextRequest(Nanos end, const Load& load) {
  const Nanos gap = static_cast<Nanos>(static_cast<double>(kSecond) / load.rate);
  world_.After(world_.Between(0, 2 * gap), [this, end, load] {
    if (world_.now() >= end) return;
    Proxy& proxy = *proxies_[world_.Random() % proxies_.size()];
    const int container = static_cast<int>(world_.Random() % static_cast<uint64_t>(options_.containers));
    const bool idempotent = world_.Chance(load.idempotent);
    const Nanos service = world_.Between(load.least_service, load.most_service);
    proxy.loop->Input(0, [&proxy, container, idempotent, service] {
      proxy.client->Send(KeyOf(container), idempotent, service);
    });
    NextRequest(end, load);
  });
}

void Cloud::Run(Nanos time, const Load& load) {
  const Nanos end = world_.now() + time;
  NextRequest(end, load);
  world_.RunUntil(end);
}

void Cloud::Warm() {
  for (auto& proxy : proxies_)
    for (int i = 0; i < options_.containers; ++i)
      proxy->loop->Input(0, [p = proxy.get(), i] { p->client->Send(KeyOf(i), true, kMillisecond); });
  world_.RunFor(3 * kSecond);
}

uint64_t Cloud::Failed() const {
  uint64_t sum = 0;
  for (const auto& proxy : proxies_) sum += proxy->client->counts().failed;
  return sum;
}

uint64_t Cloud::Unsafe() const {
  uint64_t sum = 0;
  for (const auto& proxy : proxies_) sum += proxy->client->counts().unsafe;
  return sum;
}

uint64_t Cloud::Ok() const {
  uint64_t sum = 0;
  for (const auto& proxy : proxies_) sum += proxy->client->counts().ok;
  return sum;
}

uint64_t Cloud::RunningCopies(int container) const {
  uint64_t copies = 0;
  for (const auto& machine : machines_)
    for (const auto& [id, instance] : machine->instances())
      copies += instance.request.container == Container(container) ? 1 : 0;
  return copies;
}

void Cloud::HealAndCheck() {
  world_.Note("cloud", "heals");
  network_.Heal();
  for (size_t i = 0; i < machines_.size(); ++i) {
    machines_[i]->faults = Machine::Faults();
    machines_[i]->load.overloaded = false;
    ThawMachine(i);
    if (hosts_[i]->dispatcher == nullptr) StartDispatcher(i);
  }
  LoseCmdb(false);
  MemoryCmdb::Faults healed;
  healed.delay = kCmdbDelay;
  for (auto& host : hosts_) host->cmdb->faults() = healed;
  for (auto& proxy : proxies_) proxy->cmdb->faults() = healed;
  // Long enough for every deadline of a request, a lease, a drain and a recheck.
  world_.RunFor(100 * kSecond);
  for (auto& proxy : proxies_)
    proxy->client->ForEachOpen([&](const Request& request) {
      invariants_.Violation(absl::StrCat("I9: request ", request.id, " of ", proxy->name, " for ",
                                         request.key, " never ended; ", request.attempts, " attempts",
                                         request.routing ? ", waits for its route" : ""));
    });
  CheckCopies();
  CheckRoutes();
  CheckCopies();
}

void Cloud::CheckCopies() {
  for (int i = 0; i < options_.containers; ++i)
    if (RunningCopies(i) > 1)
      invariants_.Violation(absl::StrCat("I7: ", RunningCopies(i), " copies of ", Container(i), " run"));
  for (size_t i = 0; i < machines_.size(); ++i) {
    std::set<std::string> known;
    hosts_[i]->dispatcher->ForEach([&](const ContainerInfo& info) {
      const std::string instance(info.instance);
      if (instance.empty()) return;
      known.insert(instance);
      if (machines_[i]->instances().count(instance) == 0)
        invariants_.Violation(absl::StrCat("I7: the dispatcher of ", machines_[i]->name(), " believes in ",
                                           instance, ", with ", info.leases, " leases; it does not run"));
      if (info.tickets > 0)
        invariants_.Violation(absl::StrCat("I7: ", machines_[i]->name(), " counts ", info.tickets,
                                           " tickets on ", std::string(info.container), "; all have ended"));
    });
    for (const auto& [id, instance] : machines_[i]->instances()) {
      const Invariants::Committed* const placed = invariants_.Current(instance.request.container);
      if (placed == nullptr || placed->host != machines_[i]->name())
        invariants_.Violation(absl::StrCat("I7: ", id, " runs ", instance.request.container, " on ",
                                           machines_[i]->name(), ", where it is not placed"));
      if (known.count(id) == 0)
        invariants_.Violation(absl::StrCat("a container that was started is forgotten: ", id));
    }
  }
}

// The caches equal the store if every router leads every key to where the store says.
void Cloud::CheckRoutes() {
  for (auto& proxy : proxies_) {
    for (int i = 0; i < options_.containers; ++i) {
      const uint64_t ok = proxy->client->counts().ok;
      Request* request = nullptr;
      proxy->loop->Input(0, [&] { request = &proxy->client->Send(KeyOf(i), true, kMillisecond); });
      world_.RunFor(5 * kSecond);
      const Invariants::Committed* const placed = invariants_.Current(Container(i));
      if (proxy->client->counts().ok != ok + 1)
        invariants_.Violation(absl::StrCat("I7: ", proxy->name, " cannot route ", KeyOf(i),
                                           " when all is well: ", static_cast<int>(request->code), " ",
                                           request->error));
      else if (placed == nullptr || placed->host != request->host || placed->epoch != request->epoch)
        invariants_.Violation(absl::StrCat("I7: ", proxy->name, " routes ", KeyOf(i), " to ", request->host,
                                           " at epoch ", request->epoch,
                                           ", which is not what the store has"));
    }
  }
}

std::string Report(Cloud& cloud, uint64_t seed, const std::string& command) {
  if (cloud.invariants().violations().empty()) return "";
  std::string text = absl::StrCat("seed ", seed, "; again with: ", command, "\n");
  for (const std::string& violation : cloud.invariants().violations())
    absl::StrAppend(&text, "  ", violation, "\n");
  absl::StrAppend(&text, "the last events:\n");
  for (const std::string& note : cloud.world().notes()) absl::StrAppend(&text, note, "\n");
  return text;
}

}  // namespace fastcontainer::sim
