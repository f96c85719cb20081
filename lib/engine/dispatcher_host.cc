#include "lib/engine/dispatcher_host.h"

#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/dispatch/udp.h"
#include "lib/runtime/process.h"

namespace fastcontainer {
namespace {

uint32_t Cores() { return static_cast<uint32_t>(std::max<long>(sysconf(_SC_NPROCESSORS_ONLN), 1)); }

uint64_t MachineMemory() {
  struct sysinfo info {};
  if (sysinfo(&info) != 0) return 0;
  return static_cast<uint64_t>(info.totalram) * info.mem_unit;
}

uint64_t RandomSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

// kUnavailable is said of the CMDB only; a folder or a port that cannot be had is this machine's trouble.
absl::Status OfTheMachine(const absl::Status& status) {
  if (absl::IsUnavailable(status) || absl::IsAlreadyExists(status))
    return absl::InternalError(status.message());
  return status;
}

}  // namespace

DispatcherHost::DispatcherHost(std::unique_ptr<Core> core) : core_(std::move(core)) {}
DispatcherHost::~DispatcherHost() = default;
const std::string& DispatcherHost::host() const { return core_->host(); }
void DispatcherHost::Drain(Nanos grace, DoneCallback done) { core_->Drain(grace, std::move(done)); }
void DispatcherHost::ForEach(const std::function<void(const ContainerInfo&)>& callback) const {
  core_->ForEach(callback);
}

DispatcherHost::Core::Core(const DispatcherPorts& ports, DispatcherHostOptions options)
    : ports_(ports), options_(std::move(options)), alive_(std::make_shared<bool>(true)) {}

DispatcherHost::Core::~Core() {
  if (read_ != 0) ports_.cmdb.Cancel(read_);
  *alive_ = false;
}

absl::Status DispatcherHost::Core::CheckOptions() {
  if (options_.host.empty() || options_.host.size() > kMaxNameLength)
    return absl::InvalidArgumentError("host: required, the host's id in the CMDB, at most 200 bytes");
  if (options_.port_first == 0 || options_.port_first > options_.port_last)
    return absl::InvalidArgumentError(absl::StrCat("port_first, port_last: ", options_.port_first, " to ",
                                                   options_.port_last, " is no range of ports"));
  if (!options_.address.empty()) {
    const absl::StatusOr<Address> parsed = Address::Parse(options_.address);
    if (!parsed.ok() || parsed->port != 0 || parsed->IsAny())
      return absl::InvalidArgumentError(
          absl::StrCat("address: \"", options_.address,
                       "\" is not a numeric IPv4 or IPv6 address of a host, without a port"));
    address_ = *parsed;
  }
  if (options_.max_starts == 0) options_.max_starts = 2 * Cores();
  if (options_.cpu <= 0) options_.cpu = Cores();
  if (options_.memory == 0) options_.memory = MachineMemory();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Runtime>> DispatcherHost::Core::OpenProcessRuntime() {
  if (options_.state_directory.empty())
    return absl::InvalidArgumentError("state_directory: required by the runtime \"process\"");
  ProcessRuntime::Options process;
  process.state_directory = options_.state_directory;
  process.log_directory = options_.log_directory;
  process.subreaper = options_.subreaper;
  if (ports_.log != nullptr) {
    process.log = [log = ports_.log](LogLevel level, std::string_view component, std::string_view message) {
      (*log)(level, component, message);
    };
  }
  return ProcessRuntime::Create(ports_.reactor, std::move(process));
}

absl::Status DispatcherHost::Core::MakeRuntime() {
  absl::StatusOr<std::unique_ptr<Runtime>> runtime =
      options_.runtime ? options_.runtime(ports_.reactor) : OpenProcessRuntime();
  if (!runtime.ok()) return OfTheMachine(runtime.status());
  runtime_ = *std::move(runtime);
  return absl::OkStatus();
}

absl::Status DispatcherHost::Core::Open(DoneCallback ready) {
  if (absl::Status status = CheckOptions(); !status.ok()) return status;
  if (absl::Status status = MakeRuntime(); !status.ok()) return status;
  const bool address_matters = ports_.keys.empty() && !ports_.bind;
  if (options_.port == 0 || (address_matters && !address_)) {
    ready_ = std::move(ready);
    ReadRecord();
    return absl::OkStatus();
  }
  if (absl::Status status = Bind(); !status.ok()) return status;
  dispatcher_->Start(std::move(ready));
  return absl::OkStatus();
}

void DispatcherHost::Core::ReadRecord() {
  read_ = ports_.cmdb.Get(RecordKey(RecordKind::kHost, options_.host), ReadMode::kLinearizable,
                          [this](absl::StatusOr<Record> record) {
                            read_ = 0;
                            if (!record.ok()) return Fail(record.status());
                            if (record->revision != 0) {
                              const absl::StatusOr<Host> host = DecodeHost(record->value);
                              if (!host.ok())
                                return Fail(InRecord(RecordKind::kHost, options_.host, host.status()));
                              if (options_.port == 0) options_.port = host->dispatcher_port;
                              if (const auto recorded = Address::Parse(host->address); recorded.ok())
                                recorded_address_ = *recorded;
                            }
                            if (options_.port == 0) options_.port = kDefaultDispatcherPort;
                            if (absl::Status status = Bind(); !status.ok()) return Fail(status);
                            dispatcher_->Start(std::move(ready_));
                            for (auto& [grace, done] : std::exchange(drains_, {}))
                              dispatcher_->Drain(grace, std::move(done));
                          });
}

void DispatcherHost::Core::Fail(const absl::Status& status) {
  const std::shared_ptr<bool> alive = alive_;
  std::vector<std::pair<Nanos, DoneCallback>> drains = std::exchange(drains_, {});
  std::exchange(ready_, nullptr)(status);
  for (auto& [grace, done] : drains)
    if (*alive) done(absl::OkStatus());
}

absl::StatusOr<Address> DispatcherHost::Core::ListenAddress() const {
  if (ports_.bind) return ports_.bind.WithPort(options_.port);
  const Address own = address_ ? address_ : recorded_address_;
  if (!ports_.keys.empty()) {
    const bool v6 = own.family == AF_INET6;
    return Address::Parse(v6 ? "::" : "0.0.0.0")->WithPort(options_.port);
  }
  if (!own) return Address::Parse("127.0.0.1")->WithPort(options_.port);
  if (!own.IsLoopback())
    return absl::PermissionDeniedError(absl::StrCat("host \"", options_.host, "\": address ", own.ToString(),
                                                    " is not a loopback address, which needs a cluster key "
                                                    "file: without a key anybody could give orders"));
  return own.WithPort(options_.port);
}

absl::Status DispatcherHost::Core::Bind() {
  const absl::StatusOr<Address> listen = ListenAddress();
  if (!listen.ok()) return listen.status();
  absl::StatusOr<std::unique_ptr<UdpSocket>> socket = UdpSocket::Create(ports_.reactor, *listen);
  if (!socket.ok()) return OfTheMachine(socket.status());
  const uint16_t port = (*socket)->local_address().port;
  auto channel = std::make_unique<Channel>(*std::move(socket), ports_.keys, options_.host, ports_.boot);
  dispatcher_ = std::make_unique<Dispatcher>(ports_.reactor, ports_.cmdb, std::move(channel), *runtime_,
                                             ports_.hook, ports_.log, ForDispatcher(port));
  return absl::OkStatus();
}

DispatcherOptions DispatcherHost::Core::ForDispatcher(uint16_t port) const {
  DispatcherOptions options;
  options.host = options_.host;
  options.address = address_;
  options.dispatcher_port = port;
  options.cpu = options_.cpu;
  options.memory = options_.memory;
  options.labels = options_.labels;
  options.max_starts = options_.max_starts;
  options.max_containers = options_.max_containers;
  options.port_first = options_.port_first;
  options.port_last = options_.port_last;
  options.seed = RandomSeed();
  options.sleepless = [] {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<Nanos>(now.tv_sec) * kSecond + now.tv_nsec;
  };
  return options;
}

void DispatcherHost::Core::Drain(Nanos grace, DoneCallback done) {
  if (dispatcher_ != nullptr) return dispatcher_->Drain(grace, std::move(done));
  if (read_ != 0) {
    drains_.emplace_back(grace, std::move(done));
    return;
  }
  // It never served, so there is nothing to let end.
  ports_.reactor.Defer([alive = alive_, done = std::move(done)]() mutable {
    if (*alive) done(absl::OkStatus());
  });
}

void DispatcherHost::Core::OnKeys() {
  if (dispatcher_ != nullptr) dispatcher_->SetKeys(ports_.keys);
}

void DispatcherHost::Core::ForEach(const std::function<void(const ContainerInfo&)>& callback) const {
  if (dispatcher_ != nullptr) dispatcher_->ForEach([&](const ContainerInfo& info) { callback(info); });
}

}  // namespace fastcontainer
