#include "examples/proxy/server.h"

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "examples/proxy/downstream.h"
#include "examples/proxy/listeners.h"

namespace proxy {

namespace {

constexpr uint64_t kTickMs = 100;
// While it drains, a connection that has been idle for so long is closed: its client is hardly about to send
// a request just now, and one who is meets a closed connection (RFC 9112, section 9.6).
constexpr uint64_t kQuietMs = 1000;
// Descriptors for other things than connections: engine, log, listeners, containers' logs.
constexpr size_t kOtherFiles = 64;

// As many clients as the limit of open files allows if each has a container's connection, too.
size_t RaiseFileLimit(size_t wanted) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const size_t files = limit.rlim_cur;
  const size_t possible = files > 2 * kOtherFiles ? (files - kOtherFiles) / 2 : kOtherFiles / 2;
  return wanted == 0 ? possible : std::min(wanted, possible);
}

uv_handle_t* Handle(uv_tcp_t* handle) { return reinterpret_cast<uv_handle_t*>(handle); }

}  // namespace

Server::Server(uv_loop_t* loop, const Config& config)
    : loop_(loop), config_(config), context_(loop, config), engine_(config), admin_(&context_) {
  context_.server = this;
  context_.client_closed = OnClientClosed;
}

bool Server::Start(const Sockets& sockets, bool with_dispatcher, std::string* error) {
  max_connections_ = RaiseFileLimit(config_.limits.connections);
  context_.max_upstreams = max_connections_;
  StartTimerAndSignals();
  if (!context_.log.Open(config_.log, error)) return false;
  if (config_.fixed_upstream) {
    context_.routes.UseFixed(*config_.fixed_upstream);
  } else {
    if (!engine_.Create(error)) return false;
    context_.routes.UseEngine(engine_.get(), Exchange::OnLost);
    if (!engine_.Watch(loop_)) return false;
  }
  if (with_dispatcher) {
    auto failed = [](void* server) {
      static_cast<Server*>(server)->status_ = 1;
      uv_stop(static_cast<Server*>(server)->loop_);
    };
    if (!engine_.CreateDispatcher(failed, this, error)) return false;
  }
  if (sockets.admin >= 0 && !admin_.Listen(sockets.admin, error)) return false;
  return Listen(sockets.clients, error);
}

bool Server::Listen(const std::vector<int>& sockets, std::string* error) {
  for (const int socket : sockets) {
    Listener& listener = *listeners_.emplace_back(std::make_unique<Listener>());
    listener.server = this;
    uv_tcp_init(loop_, &listener.handle);
    listener.handle.data = &listener;
    int result = uv_tcp_open(&listener.handle, socket);
    if (result == 0)
      result = uv_listen(reinterpret_cast<uv_stream_t*>(&listener.handle), kBacklog, OnConnection);
    if (result == 0) continue;
    *error = "listen " + FormatAddress(config_.listen) + ": " + uv_strerror(result);
    return false;
  }
  return true;
}

void Server::StartTimerAndSignals() {
  uv_timer_init(loop_, &tick_);
  tick_.data = this;
  uv_timer_start(&tick_, OnTick, kTickMs, kTickMs);
  const auto watch = [this](uv_signal_t* signal, int number) {
    uv_signal_init(loop_, signal);
    signal->data = this;
    uv_signal_start(signal, OnSignal, number);
  };
  watch(&term_, SIGTERM);
  watch(&interrupt_, SIGINT);
  watch(&quit_, SIGQUIT);
  watch(&hangup_, SIGHUP);
}

void Server::OnConnection(uv_stream_t* listener, int status) {
  if (status != 0) return;
  auto* ready = static_cast<Listener*>(listener->data);
  ready->waits = true;
  ready->server->AcceptWaiting();
}

// Not accepting is how libuv is told to stop listening for a while. Who is idle makes room.
void Server::AcceptWaiting() {
  context_.crowded = false;
  if (context_.draining) return;
  for (const auto& listener : listeners_) {
    while (listener->waits && context_.clients.size() < max_connections_) Accept(*listener);
    context_.crowded |= listener->waits;
  }
  auto* idle = static_cast<Downstream*>(context_.crowded ? context_.idle.Oldest() : nullptr);
  if (idle != nullptr) idle->MakeRoom();  // and when it is closed, here again
}

void Server::Accept(Listener& listener) {
  listener.waits = false;
  auto* client = new Downstream(&context_);
  if (client->Accept(reinterpret_cast<uv_stream_t*>(&listener.handle)) != 0) return client->Close();
  client->Start();
}

void Server::OnClientClosed(void* server) {
  auto* self = static_cast<Server*>(server);
  self->AcceptWaiting();
  self->StopIfDrained();
}

void Server::OnTick(uv_timer_t* timer) {
  auto* self = static_cast<Server*>(timer->data);
  self->context_.Expire();
  self->context_.log.Flush();
  if (!self->context_.draining) return;
  self->context_.idle.ExpireAfter(kQuietMs, self->context_.now());
  if (self->context_.now() >= self->drain_until_) uv_stop(self->loop_);
}

void Server::OnSignal(uv_signal_t* signal, int number) {
  auto* self = static_cast<Server*>(signal->data);
  if (number == SIGHUP) return self->Reload();
  if (self->context_.draining) return uv_stop(self->loop_);  // asked twice
  number == SIGQUIT ? self->Relieved() : self->Drain();
}

void Server::Offer(const Sockets& sockets) {
  std::vector<int> all = sockets.clients;
  if (sockets.admin >= 0) all.push_back(sockets.admin);
  const auto relieved = [](void* self) { static_cast<Server*>(self)->Relieved(); };
  handover_.Offer(loop_, config_.takeover, std::move(all), relieved, this);
}

// Who asks /healthz is to ask the other.
void Server::Relieved() {
  admin_.Close();
  Drain();
}

void Server::Reload() {
  context_.log.Reopen();
  if (config_.cluster_key_file.empty()) return;
  fc_error error = FC_ERROR_INIT;
  if (fc_engine_reload_keys(engine_.get(), &error) != FC_OK)
    fprintf(stderr, "fc-proxy: %s; the keys stay as they are\n", error.message);
}

void Server::Drain() {
  if (context_.draining) return;
  context_.draining = true;
  drain_until_ = context_.now() + config_.timeouts.drain;
  for (const auto& listener : listeners_) {
    if (listener->waits) Accept(*listener);  // libuv would close it
    uv_close(Handle(&listener->handle), nullptr);
  }
  for (Downstream* client : context_.clients) client->Drain();
  StopIfDrained();
}

void Server::StopIfDrained() {
  if (context_.draining && context_.clients.empty()) uv_stop(loop_);
}

int Server::Run() {
  uv_run(loop_, UV_RUN_DEFAULT);
  CloseHandles();
  return status_;
}

// What is still going on is cut off; each ticket is ended before the engine is.
void Server::CloseHandles() {
  context_.draining = true;
  for (size_t i = context_.clients.size(); i-- > 0;) context_.clients[i]->Cut();
  context_.pools.Clear();
  engine_.Destroy();
  admin_.Close();
  handover_.Close();
  for (uv_handle_t* handle :
       {reinterpret_cast<uv_handle_t*>(&tick_), reinterpret_cast<uv_handle_t*>(&term_),
        reinterpret_cast<uv_handle_t*>(&interrupt_), reinterpret_cast<uv_handle_t*>(&quit_),
        reinterpret_cast<uv_handle_t*>(&hangup_)}) {
    if (!uv_is_closing(handle)) uv_close(handle, nullptr);
  }
  for (const auto& listener : listeners_)
    if (!uv_is_closing(Handle(&listener->handle))) uv_close(Handle(&listener->handle), nullptr);
  uv_walk(
      loop_,
      [](uv_handle_t* handle, void*) {
        if (!uv_is_closing(handle) && handle->type == UV_TCP) static_cast<Tcp*>(handle->data)->Close();
      },
      nullptr);
  uv_run(loop_, UV_RUN_DEFAULT);
}

}  // namespace proxy
