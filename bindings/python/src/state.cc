#include "bindings/python/src/state.h"

#include <atomic>
#include <stdexcept>

namespace fastcontainer::python {
namespace {

std::atomic<uint32_t> fork_generation{0};

}  // namespace

thread_local int Answering::depth = 0;

uint32_t EngineState::ForkGeneration() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { ++fork_generation; });
  (void)registered;
  return fork_generation.load(std::memory_order_relaxed);
}

fc_engine* EngineState::Use() const {
  if (generation_ != ForkGeneration())
    throw std::runtime_error("the engine was made before fork(): make one in the child");
  if (pthread_equal(thread_, pthread_self()) == 0)
    throw std::runtime_error("the engine belongs to the thread that made it");
  if (engine_ == nullptr) throw std::runtime_error("the engine is closed");
  if (Answering::depth > 0) throw std::runtime_error("a policy or hook may not call the engine");
  return engine_;
}

int32_t EngineState::Process(int32_t max_callbacks) {
  fc_engine* const engine = Use();
  if (working_) throw std::runtime_error("the engine is at work: a callback may not run its loop");
  EndOrphans();
  working_ = true;
  int32_t ran;
  {
    const py::gil_scoped_release release;
    ran = fc_engine_process(engine, max_callbacks);
    ServeHosts();
  }
  working_ = false;
  return ran;
}

void EngineState::Close() {
  if (engine_ == nullptr) return;
  fc_engine* const engine = Use();
  if (working_) throw std::runtime_error("the engine is at work: a callback may not close it");
  working_ = true;
  {
    const py::gil_scoped_release release;
    {
      const std::lock_guard<std::mutex> giving(giving_);
      const std::lock_guard<std::mutex> lock(mutex_);
      open_ = false;
    }
    hosts_came_.notify_all();
    for (fc_dispatcher* const dispatcher : std::exchange(dispatchers, {})) fc_dispatcher_destroy(dispatcher);
    fc_engine_destroy(engine);
  }
  engine_ = nullptr;
  working_ = false;
  calls_.clear();
  watched_.clear();
}

fc_op EngineState::Began(int32_t code, fc_op op, std::unique_ptr<Call> call) {
  if (code != FC_PENDING) Raise(code);
  call->op = op;
  calls_.emplace(op, std::move(call));
  return op;
}

bool EngineState::Cancel(fc_op op) {
  if (engine_ == nullptr) return false;
  fc_engine* const engine = Use();
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_cancel(engine, op);
  }
  if (code != FC_OK) return false;
  calls_.erase(op);
  return true;
}

std::unique_ptr<Call> EngineState::Finish(Call* call) {
  auto node = calls_.extract(call->op);
  return node.empty() ? nullptr : std::move(node.mapped());
}

void EngineState::Orphan(uint64_t ticket) {
  if (generation_ != ForkGeneration()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!open_ || engine_ == nullptr) return;
  orphans_.push_back(ticket);
  fc_engine_wake(engine_);
}

void EngineState::EndOrphans() {
  std::vector<uint64_t> orphans;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    orphans.swap(orphans_);
  }
  fc_outcome outcome{};
  outcome.struct_size = sizeof(outcome);
  outcome.outcome = FC_OUTCOME_CANCELLED;
  for (const uint64_t ticket : orphans) {
    fc_ticket_end(engine_, ticket, &outcome);
    Unwatch(ticket);
  }
}

bool EngineState::Wake() {
  if (generation_ != ForkGeneration()) return false;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!open_ || engine_ == nullptr) return false;
  fc_engine_wake(engine_);
  return true;
}

bool EngineState::Complete(fc_op op, const fc_result& result, int32_t* code) {
  if (generation_ != ForkGeneration()) return false;
  const py::gil_scoped_release release;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!open_ || engine_ == nullptr) return false;
  *code = fc_op_complete(engine_, op, &result);
  return true;
}

void EngineState::ServeHosts() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!std::exchange(hosts_wanted_, false)) return;
  }
  fc_hosts* hosts = nullptr;
  if (fc_engine_hosts(engine_, &hosts) != FC_OK) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    hosts_.reset(hosts, &fc_hosts_release);
  }
  hosts_came_.notify_all();
}

std::shared_ptr<const fc_hosts> EngineState::AwaitHosts(std::chrono::nanoseconds patience) {
  if (generation_ != ForkGeneration()) return nullptr;
  std::unique_lock<std::mutex> lock(mutex_);
  if (!open_ || engine_ == nullptr) return nullptr;
  hosts_.reset();
  hosts_wanted_ = true;
  fc_engine_wake(engine_);
  hosts_came_.wait_for(lock, patience, [this] { return hosts_ != nullptr || !open_; });
  return open_ ? hosts_ : nullptr;
}

bool EngineState::SetScores(fc_str class_name, const fc_str* hosts, const double* scores, uint32_t count,
                            uint64_t valid_ns, int32_t* code, fc_error* error) {
  if (generation_ != ForkGeneration()) return false;
  const std::lock_guard<std::mutex> giving(giving_);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!open_ || engine_ == nullptr) return false;
  }
  *code = fc_engine_set_scores(engine_, class_name, hosts, scores, count, valid_ns, error);
  return true;
}

py::object MakeError(int32_t code, const fc_error* error) {
  const bool told = error != nullptr && error->message[0] != '\0';
  return py::module_::import("fastcontainer._errors")
      .attr("make")(code, told ? error->message : "", error == nullptr ? 0 : error->retry_after_ns);
}

void Raise(int32_t code, const fc_error* error) {
  const py::object exception = MakeError(code, error);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

}  // namespace fastcontainer::python
