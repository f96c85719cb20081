// The engine: its options, its loop, its numbers.
#include <deque>
#include <string>

#include "bindings/python/src/module.h"
#include "bindings/python/src/vtables.h"

namespace fastcontainer::python {
namespace {

// The options of fc_engine_create() from a dict with the same names. It owns what they point to.
class Options {
 public:
  explicit Options(const py::dict& given) : given_(given) { fc_engine_options_init(&options_); }
  ~Options() {
    if (options_.policy != nullptr) Drop(options_.policy_user_data);
    if (options_.hooks != nullptr) Drop(options_.hooks_user_data);
    if (options_.cmdb != nullptr) Drop(options_.cmdb_user_data);
  }
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  fc_engine_options* Read();
  // The engine has them now.
  void Taken() { options_.policy = nullptr, options_.hooks = nullptr, options_.cmdb = nullptr; }

 private:
  bool Has(const char* name) const { return given_.contains(name); }
  void Number(const char* name, uint32_t* to) const {
    if (Has(name)) *to = given_[name].cast<uint32_t>();
  }
  void Duration(const char* name, uint64_t* to) const {
    if (Has(name)) *to = given_[name].cast<uint64_t>();
  }
  fc_str Own(std::string text) { return ToStr(strings_.emplace_back(std::move(text))); }
  void Text(const char* name, fc_str* to) {
    if (Has(name)) *to = Own(given_[name].cast<std::string>());
  }
  void ReadVtables();
  void ReadNumbers();

  const py::dict& given_;
  fc_engine_options options_{};
  std::deque<std::string> strings_;
  std::vector<fc_str> witnesses_, peers_;
};

void Log(void* user_data, int32_t level, fc_str component, fc_str message) {
  InPython("fastcontainer log", [&] { Kept(user_data)(level, ToPython(component), ToPython(message)); });
}

void Options::ReadVtables() {
  if (Has("policy")) {
    options_.policy = &kPolicy;
    options_.policy_user_data = Keep(given_["policy"]);
  }
  if (Has("hooks")) {
    options_.hooks = &kHooks;
    options_.hooks_user_data = Keep(given_["hooks"]);
  }
  if (Has("cmdb")) {
    options_.cmdb = py::hasattr(given_["cmdb"], "lease_grant") ? &kLeaseCmdb : &kCmdb;
    options_.cmdb_user_data = Keep(given_["cmdb"]);
  }
}

void Options::ReadNumbers() {
  Number("profile", &options_.profile);
  Number("queue_per_container", &options_.queue_per_container);
  Number("queue_total", &options_.queue_total);
  Number("relocations_per_second", &options_.relocations_per_second);
  Number("relocation_burst", &options_.relocation_burst);
  Number("no_relocation", &options_.no_relocation);
  Number("no_prepare", &options_.no_prepare);
  Number("no_scores", &options_.no_scores);
  Number("confirm", &options_.confirm);
  Number("admission", &options_.admission);
  Duration("wait_ns", &options_.wait_ns);
  Duration("start_ns", &options_.start_ns);
  Duration("freshness_ns", &options_.freshness_ns);
  Duration("guard_ns", &options_.guard_ns);
  Duration("service_deadline_ns", &options_.service_deadline_ns);
  Duration("snapshot_every_ns", &options_.snapshot_every_ns);
}

fc_engine_options* Options::Read() {
  ReadNumbers();
  Text("name", &options_.name);
  Text("cmdb_url", &options_.cmdb_url);
  Text("cluster_key_file", &options_.cluster_key_file);
  Text("bind_address", &options_.bind_address);
  Text("snapshot_path", &options_.snapshot_path);
  const auto list = [this](const char* name, std::vector<fc_str>* to) {
    if (!Has(name)) return;
    for (const py::handle item : given_[name]) to->push_back(Own(item.cast<std::string>()));
  };
  list("witnesses", &witnesses_);
  list("peers", &peers_);
  options_.witnesses = witnesses_.data();
  options_.witness_count = static_cast<uint32_t>(witnesses_.size());
  options_.peers = peers_.data();
  options_.peer_count = static_cast<uint32_t>(peers_.size());
  ReadVtables();
  return &options_;
}

std::shared_ptr<EngineState> Create(const py::dict& given) {
  Options options(given);
  fc_engine_options* const read = options.Read();
  auto state = std::make_shared<EngineState>();
  if (given.contains("log")) {
    state->log = given["log"];
    read->log = &Log;
    read->log_user_data = state->log.ptr();
  }
  fc_engine* engine = nullptr;
  fc_error error = FC_ERROR_INIT;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_engine_create(&engine, read, &error);
  }
  if (code != FC_OK) Raise(code, &error);
  options.Taken();
  state->Open(engine);
  return state;
}

void ReloadKeys(EngineState& state) {
  fc_engine* const engine = state.Use();
  fc_error error = FC_ERROR_INIT;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_engine_reload_keys(engine, &error);
  }
  if (code != FC_OK) Raise(code, &error);
}

// (name, labels, kind, value, help) of each.
py::list Stats(EngineState& state) {
  py::list list;
  const auto add = [](void* user_data, const fc_stat* stat) {
    InPython("fastcontainer stats", [&] {
      static_cast<py::list*>(user_data)->append(py::make_tuple(
          ToPython(stat->name), ToPython(stat->labels), stat->kind, stat->value, ToPython(stat->help)));
    });
  };
  fc_engine* const engine = state.Use();
  const py::gil_scoped_release release;
  fc_engine_stats(engine, add, &list);
  return list;
}

}  // namespace

void Drop(void* user_data) {
  const py::gil_scoped_acquire acquire;
  Kept(user_data).dec_ref();
}

void AddEngine(EngineClass& engine) {
  engine.def(py::init(&Create), py::arg("options"))
      .def("fileno", [](EngineState& state) { return fc_engine_fd(state.Use()); })
      .def("deadline_ns", [](EngineState& state) { return fc_engine_deadline(state.Use()); })
      .def("process", &EngineState::Process, py::arg("max_callbacks") = 0)
      .def("wake", &EngineState::Wake)
      .def("cancel", &EngineState::Cancel, py::arg("op"))
      .def("reload_keys", &ReloadKeys)
      .def("stats", &Stats)
      .def("close", &EngineState::Close)
      .def_property_readonly("closed", &EngineState::closed);
}

}  // namespace fastcontainer::python
