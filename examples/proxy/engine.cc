#include "examples/proxy/engine.h"

#include <cstdio>
#include <ctime>
#include <vector>

namespace proxy {

namespace {

constexpr uint64_t kMs = 1000000;
// In one go; sockets get their turn in between.
constexpr int32_t kMaxCallbacks = 256;

fc_str Str(const std::string& text) { return {text.data(), text.size()}; }

template <typename T>
void SetIf(T value, T* option) {
  if (value != T{}) *option = value;
}

void SetOptions(const Config& config, const std::vector<fc_str>& witnesses, const std::vector<fc_str>& peers,
                fc_engine_options* options) {
  options->profile = config.paper ? FC_PROFILE_PAPER : FC_PROFILE_DEFAULT;
  options->no_prepare = config.prepare ? 0 : 1;
  options->name = Str(config.name);
  options->cmdb_url = Str(config.cmdb);
  options->cluster_key_file = Str(config.cluster_key_file);
  options->bind_address = Str(config.bind);
  options->witnesses = witnesses.data();
  options->witness_count = static_cast<uint32_t>(witnesses.size());
  options->peers = peers.data();
  options->peer_count = static_cast<uint32_t>(peers.size());
  options->confirm = static_cast<uint32_t>(config.confirm);
  options->admission = config.admission;
  options->no_relocation = config.no_relocation ? 1 : 0;
  options->snapshot_path = Str(config.snapshot);
  SetIf(config.limits.queue_per_container, &options->queue_per_container);
  SetIf(config.limits.queue_total, &options->queue_total);
  SetIf(config.limits.relocations_per_second, &options->relocations_per_second);
  SetIf(config.limits.relocation_burst, &options->relocation_burst);
  SetIf(config.timeouts.wait * kMs, &options->wait_ns);
  SetIf(config.timeouts.start * kMs, &options->start_ns);
  SetIf(config.freshness * kMs, &options->freshness_ns);
  SetIf(config.guard * kMs, &options->guard_ns);
  SetIf(config.service_deadline * kMs, &options->service_deadline_ns);
}

void SetOptions(const DispatcherConfig& config, fc_dispatcher_options* options) {
  options->host = Str(config.host);
  options->address = Str(config.address);
  options->state_directory = Str(config.state_directory);
  options->log_directory = Str(config.log_directory);
  if (!config.runtime.empty()) options->runtime = Str(config.runtime);
  options->labels_json = Str(config.labels);
  SetIf(config.port, &options->port);
  SetIf(config.port_first, &options->port_first);
  SetIf(config.port_last, &options->port_last);
  SetIf(config.max_starts, &options->max_starts);
  SetIf(config.max_containers, &options->max_containers);
  SetIf(config.memory, &options->memory);
  if (config.cpu > 0) options->cpu = config.cpu;
}

}  // namespace

void Engine::Log(void* user_data, int32_t level, fc_str component, fc_str message) {
  static const char* const kNames[] = {"debug", "info", "warning", "error"};
  if (level < static_cast<Engine*>(user_data)->config_.log_level || level < 0 || level > FC_LOG_ERROR) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  char stamp[32];
  strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  std::fprintf(stderr, "%s.%03ldZ %s %.*s: %.*s\n", stamp, now.tv_nsec / 1000000, kNames[level],
               static_cast<int>(component.length), component.data, static_cast<int>(message.length),
               message.data);
}

bool Engine::Create(std::string* error) {
  std::vector<fc_str> witnesses, peers;
  for (const std::string& witness : config_.witnesses) witnesses.push_back(Str(witness));
  for (const std::string& peer : config_.peers) peers.push_back(Str(peer));
  fc_engine_options options;
  fc_engine_options_init(&options);
  SetOptions(config_, witnesses, peers, &options);
  options.log = Log;
  options.log_user_data = this;
  fc_error failure = FC_ERROR_INIT;
  if (fc_engine_create(&engine_, &options, &failure) == FC_OK) return true;
  *error = failure.message;
  return false;
}

bool Engine::CreateDispatcher(void (*failed)(void*), void* user_data, std::string* error) {
  failed_ = failed;
  failed_data_ = user_data;
  fc_dispatcher_options options;
  fc_dispatcher_options_init(&options);
  SetOptions(*config_.dispatcher, &options);
  fc_error failure = FC_ERROR_INIT;
  const int32_t code = fc_dispatcher_create(&dispatcher_, engine_, &options, OnReady, this, &failure);
  if (code >= 0) return true;
  *error = failure.message;
  return false;
}

void Engine::OnReady(void* user_data, int32_t code, const fc_error* error) {
  auto* self = static_cast<Engine*>(user_data);
  if (code == FC_OK || code == FC_E_SHUTDOWN) return;
  std::fprintf(stderr, "fc-proxy: dispatcher: %s\n", error == nullptr ? fc_code_name(code) : error->message);
  self->failed_(self->failed_data_);
}

bool Engine::Watch(uv_loop_t* loop) {
  if (uv_poll_init(loop, &poll_, fc_engine_fd(engine_)) != 0) return false;
  watching_ = true;
  poll_.data = this;
  return uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* poll, int, int) {
           fc_engine_process(static_cast<Engine*>(poll->data)->engine_, kMaxCallbacks);
         }) == 0;
}

void Engine::Destroy() {
  if (watching_) uv_close(reinterpret_cast<uv_handle_t*>(&poll_), nullptr);
  watching_ = false;
  fc_dispatcher_destroy(dispatcher_);
  dispatcher_ = nullptr;
  fc_engine_destroy(engine_);
  engine_ = nullptr;
}

}  // namespace proxy
