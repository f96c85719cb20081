// The dispatcher of a host.
#include <deque>
#include <string>

#include "bindings/python/src/address.h"
#include "bindings/python/src/module.h"
#include "bindings/python/src/vtables.h"

namespace fastcontainer::python {
namespace {

class Dispatcher {
 public:
  // `given` has fc_dispatcher_options' names, and "runtime_object"; `ready` gets (error, None).
  Dispatcher(std::shared_ptr<EngineState> state, const py::dict& given, py::object ready);
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  void Drain(uint64_t grace_ns, py::object callback);
  py::list List() const;
  void Close();

 private:
  struct Done {
    py::object callback;
  };
  static void OnDone(void* user_data, int32_t code, const fc_error* error);
  fc_dispatcher* Use() const {
    state_->Use();
    if (state_->dispatchers.count(dispatcher_) == 0) throw std::runtime_error("the dispatcher is closed");
    return dispatcher_;
  }

  std::shared_ptr<EngineState> state_;
  fc_dispatcher* dispatcher_ = nullptr;
};

struct Options {
  explicit Options(const py::dict& given) {
    fc_dispatcher_options_init(&fields);
    const auto text = [&](const char* name, fc_str* to) {
      if (given.contains(name)) *to = ToStr(strings.emplace_back(given[name].cast<std::string>()));
    };
    const auto number = [&](const char* name, auto* to) {
      if (given.contains(name)) *to = given[name].cast<std::remove_pointer_t<decltype(to)>>();
    };
    text("host", &fields.host);
    text("address", &fields.address);
    text("state_directory", &fields.state_directory);
    text("log_directory", &fields.log_directory);
    text("labels_json", &fields.labels_json);
    number("max_starts", &fields.max_starts);
    number("max_containers", &fields.max_containers);
    number("port", &fields.port);
    number("port_first", &fields.port_first);
    number("port_last", &fields.port_last);
    number("cpu", &fields.cpu);
    number("memory", &fields.memory);
    number("subreaper", &fields.subreaper);
  }
  fc_dispatcher_options fields{};
  std::deque<std::string> strings;
};

void Dispatcher::OnDone(void* user_data, int32_t code, const fc_error* error) {
  InPython("fastcontainer dispatcher", [&] {
    const std::unique_ptr<Done> done(static_cast<Done*>(user_data));
    done->callback(code == FC_OK ? py::object(py::none()) : MakeError(code, error), py::none());
  });
}

Dispatcher::Dispatcher(std::shared_ptr<EngineState> state, const py::dict& given, py::object ready)
    : state_(std::move(state)) {
  fc_engine* const engine = state_->Use();
  Options options(given);
  const bool own_runtime = given.contains("runtime_object");
  if (own_runtime) {
    options.fields.runtime_vtable = &kRuntime;
    options.fields.runtime_user_data = Keep(given["runtime_object"]);
  }
  std::unique_ptr<Done> done(new Done{std::move(ready)});
  fc_error error = FC_ERROR_INIT;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_dispatcher_create(&dispatcher_, engine, &options.fields, &OnDone, done.get(), &error);
  }
  if (code >= 0) {
    done.release();
    state_->dispatchers.insert(dispatcher_);
    return;
  }
  if (own_runtime) Drop(options.fields.runtime_user_data);
  Raise(code, &error);
}

void Dispatcher::Drain(uint64_t grace_ns, py::object callback) {
  fc_dispatcher* const dispatcher = Use();
  std::unique_ptr<Done> done(new Done{std::move(callback)});
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_dispatcher_drain(dispatcher, grace_ns, &OnDone, done.get());
  }
  if (code < 0) Raise(code);
  done.release();
}

// (container, instance, state, epoch, address, leases, tickets, waiting) of each.
py::list Dispatcher::List() const {
  py::list list;
  const auto add = [](void* user_data, const fc_container_info* info) {
    InPython("fastcontainer dispatcher", [&] {
      static_cast<py::list*>(user_data)->append(
          py::make_tuple(ToPython(info->container), ToPython(info->instance), info->state, info->epoch,
                         ToPython(CopyAddress(info->address, info->address_length)), info->leases,
                         info->tickets, info->waiting));
    });
  };
  fc_dispatcher* const dispatcher = Use();
  const py::gil_scoped_release release;
  fc_dispatcher_list(dispatcher, add, &list);
  return list;
}

void Dispatcher::Close() {
  if (state_->dispatchers.count(dispatcher_) == 0) return;
  fc_dispatcher* const dispatcher = Use();
  state_->dispatchers.erase(dispatcher);
  const py::gil_scoped_release release;
  fc_dispatcher_destroy(dispatcher);
}

}  // namespace

void AddDispatcher(py::module_& module) {
  py::class_<Dispatcher>(module, "Dispatcher", Plain())
      .def(py::init<std::shared_ptr<EngineState>, const py::dict&, py::object>(), py::arg("engine"),
           py::arg("options"), py::arg("ready"))
      .def("drain", &Dispatcher::Drain, py::arg("grace_ns"), py::arg("callback"))
      .def("list", &Dispatcher::List)
      .def("close", &Dispatcher::Close);
}

}  // namespace fastcontainer::python
