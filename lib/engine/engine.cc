#include "fastcontainer/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/engine/engine_core.h"

namespace fastcontainer {

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(EngineOptions options) {
  absl::StatusOr<std::unique_ptr<Core>> core = Core::Create(std::move(options));
  if (!core.ok()) return core.status();
  return std::unique_ptr<Engine>(new Engine(*std::move(core)));
}

Engine::Engine(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Engine::~Engine() = default;

int Engine::fd() const { return core_->reactor->fd(); }
Nanos Engine::NextDeadline() const { return core_->reactor->NextDeadline(); }
void Engine::Wake() { core_->reactor->Wake(); }
absl::Status Engine::ReloadKeys() { return core_->ReloadKeys(); }
void Engine::Shutdown() { core_->Shutdown(); }
Reactor& Engine::reactor() { return *core_->reactor; }
Cmdb& Engine::cmdb() { return *core_->cmdb; }
Prober& Engine::prober() { return *core_->prober; }
Prober* Engine::echo_prober() { return core_->router != nullptr ? &core_->router->echo_prober() : nullptr; }

int Engine::Process(int max_callbacks) {
  core_->processing = true;
  const int ran = core_->reactor->Process(max_callbacks);
  core_->processing = false;
  return ran;
}

bool Engine::RouteWarm(std::string_view key, const RouteOptions& options, Ticket* ticket) {
  return core_->router != nullptr && core_->router->RouteWarm(key, options, ticket);
}
RouteCode Engine::Route(std::string_view key, const RouteOptions& options, Ticket* ticket, RouteOp* op,
                        RouteCallback callback, void* user_data) {
  if (core_->router == nullptr) return RouteCode::kShutdown;
  return core_->router->Route(key, options, ticket, op, callback, user_data);
}

RouteCode Engine::EndTicket(TicketId ticket, Outcome outcome, Nanos duration) {
  if (core_->router == nullptr) return RouteCode::kNotFound;
  return core_->router->EndTicket(ticket, outcome, duration);
}

RouteCode Engine::NoteAlive(TicketId ticket) {
  if (core_->router == nullptr) return RouteCode::kNotFound;
  return core_->router->NoteAlive(ticket);
}

RouteCode Engine::Retry(TicketId ticket, const Attempt& attempt, const RouteOptions& options, Ticket* next,
                        RouteOp* op, RouteCallback callback, void* user_data) {
  if (core_->router == nullptr) return RouteCode::kShutdown;
  return core_->router->Retry(ticket, attempt, options, next, op, callback, user_data);
}

RouteOp Engine::Place(std::string_view container, std::string_view host, std::string_view reason,
                      PlaceCallback callback) {
  if (core_->router == nullptr) return 0;
  return core_->router->Place(container, host, reason, std::move(callback));
}

bool Engine::Cancel(RouteOp op) { return core_->router != nullptr && core_->router->Cancel(op); }

HostTable Engine::Hosts() { return core_->router != nullptr ? core_->router->host_table() : HostTable{}; }

absl::Status Engine::SetScores(std::string_view class_name, absl::Span<const HostScore> scores, Nanos valid) {
  if (class_name.empty()) class_name = kAllClasses;
  if (scores.empty()) {
    core_->scores.Remove(class_name);
    return absl::OkStatus();
  }
  auto table = std::make_shared<ScoreTable>(scores.size());
  for (const HostScore& score : scores)
    if (!table->Add(score.host, score.score))
      return absl::InvalidArgumentError(absl::StrCat("hosts: \"", score.host, "\" appears twice"));
  const Nanos now = core_->reactor->Now();
  core_->scores.Set(class_name, std::move(table), valid < kForever - now ? now + valid : kForever);
  return absl::OkStatus();
}

absl::StatusOr<DispatcherHost*> Engine::AddDispatcher(DispatcherHostOptions options,
                                                      DispatcherHost::DoneCallback ready) {
  if (core_->router == nullptr) return absl::CancelledError("the engine is being destroyed");
  auto core = std::make_unique<DispatcherHost::Core>(core_->ForDispatchers(), std::move(options));
  if (absl::Status status = core->Open(std::move(ready)); !status.ok()) return status;
  core_->dispatchers.push_back(std::make_unique<DispatcherHost>(std::move(core)));
  return core_->dispatchers.back().get();
}

void Engine::RemoveDispatcher(DispatcherHost* dispatcher) {
  auto& all = core_->dispatchers;
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.get() == dispatcher; });
  if (found == all.end()) return;
  std::unique_ptr<DispatcherHost> removed = std::move(*found);
  all.erase(found);
  // A callback that asks for this may be the dispatcher's own.
  if (core_->processing) core_->DestroyLater(std::move(removed));
}

}  // namespace fastcontainer
