// What the objects of one engine share. The engine belongs to the thread that made it; Python's objects may
// outlive it and be let go by any thread.
#ifndef FASTCONTAINER_BINDINGS_PYTHON_SRC_STATE_H_
#define FASTCONTAINER_BINDINGS_PYTHON_SRC_STATE_H_

#include <fastcontainer.h>
#include <pthread.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fastcontainer::python {

namespace py = pybind11;

class EngineState;

// A callback under way, the user_data of its operation.
struct Call {
  Call(EngineState* engine, py::object function) : state(engine), callback(std::move(function)) {}
  EngineState* state;
  py::object callback;  // (error, value)
  py::object on_lost;   // of a route: (ticket, reason), or null
  fc_op op = 0;
};

// While Python answers for a policy or a hook: the engine is in the midst of a request and must not be
// called.
class Answering {
 public:
  Answering() { ++depth; }
  ~Answering() { --depth; }
  Answering(const Answering&) = delete;
  Answering& operator=(const Answering&) = delete;
  static thread_local int depth;
};

class EngineState : public std::enable_shared_from_this<EngineState> {
 public:
  EngineState() : thread_(pthread_self()), generation_(ForkGeneration()) {}
  EngineState(const EngineState&) = delete;
  EngineState& operator=(const EngineState&) = delete;

  void Open(fc_engine* engine) { engine_ = engine; }
  // Raises RuntimeError if it is closed, another thread's, or from before fork().
  fc_engine* Use() const;
  bool closed() const { return engine_ == nullptr; }
  int32_t Process(int32_t max_callbacks);
  // Every callback under way runs with FC_E_SHUTDOWN, within this call; none runs later.
  void Close();

  // `submit(engine, op, user_data)` without the GIL. What it began is an operation, or it raises.
  template <typename Submit>
  fc_op Begin(py::object callback, Submit submit) {
    fc_engine* const engine = Use();
    auto call = std::make_unique<Call>(this, std::move(callback));
    fc_op op = 0;
    int32_t code;
    {
      const py::gil_scoped_release release;
      code = submit(engine, &op, call.get());
    }
    return Began(code, op, std::move(call));
  }
  fc_op Began(int32_t code, fc_op op, std::unique_ptr<Call> call);
  // False: its callback has run, or there is no such operation.
  bool Cancel(fc_op op);
  // The call is over; the caller lets go of it with the GIL held.
  std::unique_ptr<Call> Finish(Call* call);

  // A route with `on_lost` keeps its user_data until the ticket ends.
  void Watch(uint64_t ticket, std::unique_ptr<Call> call) { watched_[ticket] = std::move(call); }
  void Unwatch(uint64_t ticket) { watched_.erase(ticket); }

  // Any thread. What was let go of without an end is ended when the engine next works.
  void Orphan(uint64_t ticket);
  // Any thread; false: closed or from before fork().
  bool Wake();
  bool Complete(fc_op op, const fc_result& result, int32_t* code);
  // Any thread but the loop's, GIL released: a copy of the host table that the loop makes when it next runs.
  // Null: it did not within `patience`, or the engine is closed.
  std::shared_ptr<const fc_hosts> AwaitHosts(std::chrono::nanoseconds patience);
  // Any thread, GIL released; false: closed. `count` 0 removes the scores of the class.
  bool SetScores(fc_str class_name, const fc_str* hosts, const double* scores, uint32_t count,
                 uint64_t valid_ns, int32_t* code, fc_error* error);

  std::set<fc_dispatcher*> dispatchers;  // open ones; they end before the engine
  py::object log;                        // (level, component, message); the engine does not own it

 private:
  void EndOrphans();
  void ServeHosts();
  static uint32_t ForkGeneration();

  fc_engine* engine_ = nullptr;
  bool working_ = false;  // within fc_engine_process() or fc_engine_destroy()
  const pthread_t thread_;
  const uint32_t generation_;
  std::unordered_map<fc_op, std::unique_ptr<Call>> calls_;
  std::unordered_map<uint64_t, std::unique_ptr<Call>> watched_;
  // Guards what other threads do against the end of the engine. Never held while Python's code or a callback
  // runs.
  std::mutex mutex_;
  bool open_ = true;
  std::vector<uint64_t> orphans_;
  bool hosts_wanted_ = false;
  std::shared_ptr<const fc_hosts> hosts_;  // the last that were wanted
  std::condition_variable hosts_came_;
  // Keeps the engine while scores are given to it, which takes longer than `mutex_` may be held. Taken first.
  std::mutex giving_;
};

// ---- values ----

inline py::str ToPython(fc_str text) { return py::str(text.data == nullptr ? "" : text.data, text.length); }
inline py::bytes ToBytes(fc_str text) {
  return py::bytes(text.data == nullptr ? "" : text.data, text.length);
}
inline fc_str ToStr(std::string_view text) { return {text.data(), text.size()}; }

// An instance of fastcontainer.Error, not raised.
py::object MakeError(int32_t code, const fc_error* error);
[[noreturn]] void Raise(int32_t code, const fc_error* error = nullptr);

// Runs `body` with the GIL held, as a callback: what it raises is reported as unraisable.
template <typename Body>
void InPython(const char* where, Body body) {
  const py::gil_scoped_acquire acquire;
  try {
    body();
  } catch (py::error_already_set& error) {
    error.discard_as_unraisable(where);
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    PyErr_WriteUnraisable(nullptr);
  }
}

}  // namespace fastcontainer::python

#endif  // FASTCONTAINER_BINDINGS_PYTHON_SRC_STATE_H_
