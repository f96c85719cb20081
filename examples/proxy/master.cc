#include "examples/proxy/master.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <utility>

namespace proxy {

namespace {

constexpr uint64_t kFirstPauseMs = 100;
constexpr uint32_t kMostDoublings = 6;  // to 6.4 s

void CloseHandle(uv_handle_t* handle) {
  if (handle->type != UV_UNKNOWN_HANDLE && !uv_is_closing(handle)) uv_close(handle, nullptr);
}

template <typename T>
uv_handle_t* Handle(T* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

}  // namespace

Master::Master(uv_loop_t* loop, const Config& config, std::vector<std::string> command)
    : loop_(loop), config_(config), command_(std::move(command)) {}

Master::~Master() = default;

int Master::Run(std::vector<Sockets> sockets, Predecessor* predecessor) {
  predecessor_ = predecessor;
  signals_.resize(4);
  for (size_t i = 0; i < signals_.size(); ++i) {
    uv_signal_init(loop_, &signals_[i]);
    signals_[i].data = this;
    uv_signal_start(&signals_[i], OnSignal, std::vector<int>{SIGTERM, SIGINT, SIGQUIT, SIGHUP}[i]);
  }
  for (uint32_t i = 0; i < sockets.size(); ++i) {
    Worker& worker = *workers_.emplace_back(std::make_unique<Worker>());
    worker.master = this;
    worker.index = i;
    worker.sockets = std::move(sockets[i]);
    uv_timer_init(loop_, &worker.again);
    worker.again.data = &worker;
  }
  for (const auto& worker : workers_) {
    if (Spawn(*worker)) continue;
    status_ = 1;
    End();
    break;
  }
  uv_run(loop_, UV_RUN_DEFAULT);
  return status_;
}

bool Master::Spawn(Worker& worker) {
  int pipe[2] = {-1, -1};
  if (uv_pipe(pipe, 0, 0) != 0) return false;
  std::vector<int> descriptors = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, pipe[1]};
  descriptors.insert(descriptors.end(), worker.sockets.clients.begin(), worker.sockets.clients.end());
  if (worker.sockets.admin >= 0) descriptors.push_back(worker.sockets.admin);
  std::vector<uv_stdio_container_t> stdio(descriptors.size());
  for (size_t i = 0; i < stdio.size(); ++i) {
    stdio[i].flags = UV_INHERIT_FD;
    stdio[i].data.fd = descriptors[i];
  }
  std::vector<std::string> command = command_;
  command.insert(command.end(),
                 {"--worker", std::to_string(worker.index), "--descriptors", std::to_string(stdio.size())});
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  uv_process_options_t options = {};
  options.file = "/proc/self/exe";
  options.args = arguments.data();
  options.stdio = stdio.data();
  options.stdio_count = static_cast<int>(stdio.size());
  // In a session of its own: a terminal's signals come to this process, and it passes them on.
  options.flags = UV_PROCESS_DETACHED;
  options.exit_cb = OnExit;
  worker.process = {};
  worker.process.data = &worker;
  const int result = uv_spawn(loop_, &worker.process, &options);
  close(pipe[1]);
  if (result != 0) {
    std::fprintf(stderr, "fc-proxy: worker %u: %s\n", worker.index, uv_strerror(result));
    close(pipe[0]);
    return false;
  }
  worker.runs = true;
  worker.tells = pipe[0];
  uv_poll_init(loop_, &worker.poll, worker.tells);
  worker.poll.data = &worker;
  uv_poll_start(&worker.poll, UV_READABLE, OnTold);
  return true;
}

void Master::OnTold(uv_poll_t* poll, int, int) {
  auto* const worker = static_cast<Worker*>(poll->data);
  char word = 0;
  const bool serves = read(worker->tells, &word, 1) == 1;
  worker->master->StopListeningTo(*worker);
  if (serves) worker->master->Serves(*worker);
}

void Master::StopListeningTo(Worker& worker) {
  if (worker.tells < 0) return;
  uv_close(Handle(&worker.poll), nullptr);
  close(std::exchange(worker.tells, -1));
}

void Master::Serves(Worker& worker) {
  worker.died = 0;
  if (ready_ || ending_ || ++serving_ < workers_.size()) return;
  ready_ = true;
  std::fputs("ready\n", stderr);
  std::vector<int> all;
  for (const auto& each : workers_) {
    all.insert(all.end(), each->sockets.clients.begin(), each->sockets.clients.end());
    if (each->sockets.admin >= 0) all.push_back(each->sockets.admin);
  }
  const auto relieved = [](void* self) {
    static_cast<Master*>(self)->ending_ = true;
    static_cast<Master*>(self)->Tell(SIGQUIT);
    static_cast<Master*>(self)->EndIfAlone();
  };
  handover_.Offer(loop_, config_.takeover, std::move(all), relieved, this);
  predecessor_->Relieve();
}

void Master::OnExit(uv_process_t* process, int64_t status, int signal) {
  auto* const worker = static_cast<Worker*>(process->data);
  Master& self = *worker->master;
  worker->runs = false;
  uv_close(Handle(process), [](uv_handle_t* handle) {
    auto* const ended = static_cast<Worker*>(handle->data);
    ended->master->EndIfAlone();
  });
  self.StopListeningTo(*worker);
  if (self.ending_) return;
  std::fprintf(stderr, "fc-proxy: worker %u ended: %s %lld\n", worker->index,
               signal != 0 ? "signal" : "status",
               signal != 0 ? static_cast<long long>(signal) : static_cast<long long>(status));
  if (!self.ready_) {
    self.status_ = status != 0 ? static_cast<int>(status) : 1;
    return self.End();
  }
  const uint64_t pause = kFirstPauseMs << std::min(worker->died++, kMostDoublings);
  uv_timer_start(
      &worker->again,
      [](uv_timer_t* timer) {
        auto* const dead = static_cast<Worker*>(timer->data);
        if (dead->master->ending_ || dead->master->Spawn(*dead)) uv_timer_stop(timer);
      },
      pause, kFirstPauseMs << kMostDoublings);
}

void Master::OnSignal(uv_signal_t* signal, int number) {
  auto* const self = static_cast<Master*>(signal->data);
  if (number == SIGHUP) return self->Tell(SIGHUP);
  self->End();
}

// Again: at once.
void Master::End() {
  ending_ = true;
  Tell(SIGTERM);
  EndIfAlone();
}

void Master::Tell(int number) {
  for (const auto& worker : workers_)
    if (worker->runs) uv_process_kill(&worker->process, number);
}

void Master::EndIfAlone() {
  const auto runs = [](const auto& worker) { return worker->runs; };
  if (!ending_ || std::any_of(workers_.begin(), workers_.end(), runs)) return;
  handover_.Close();
  for (uv_signal_t& signal : signals_) CloseHandle(Handle(&signal));
  for (const auto& worker : workers_) CloseHandle(Handle(&worker->again));
}

}  // namespace proxy
