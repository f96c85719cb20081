#include "bindings/python/src/prober.h"

#include <unistd.h>

#include <stdexcept>
#include <string>

#include "bindings/python/src/module.h"

namespace fastcontainer::python {
namespace {

class Prober;

struct OpenProbe {
  Prober* prober;
  py::object callback;  // (result), of a batch (index, result)
  size_t left;          // verdicts
  uint64_t id = 0;
};

class Prober {
 public:
  Prober(uint32_t mechanism, uint32_t receive_buffer) : thread_(pthread_self()), process_(getpid()) {
    fc_prober_options options;
    fc_prober_options_init(&options);
    options.mechanism = mechanism;
    options.receive_buffer = receive_buffer;
    fc_error error = FC_ERROR_INIT;
    const int32_t code = fc_prober_create(&prober_, &options, &error);
    if (code != FC_OK) Raise(code, &error);
  }
  ~Prober() {
    if (prober_ != nullptr && process_ == getpid()) fc_prober_destroy(prober_);
  }
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  fc_prober* Use() const {
    if (process_ != getpid())
      throw std::runtime_error("the prober was made before fork(): make one in the child");
    if (pthread_equal(thread_, pthread_self()) == 0)
      throw std::runtime_error("the prober belongs to the thread that made it");
    if (prober_ == nullptr) throw std::runtime_error("the prober is closed");
    return prober_;
  }
  void Close() {
    if (prober_ == nullptr) return;
    fc_prober* const prober = Use();
    if (working_) throw std::runtime_error("the prober is at work: a callback may not close it");
    prober_ = nullptr;
    {
      const py::gil_scoped_release release;
      fc_prober_destroy(prober);
    }
    open_.clear();
  }
  bool closed() const { return prober_ == nullptr; }

  int32_t Process() {
    fc_prober* const prober = Use();
    if (working_) throw std::runtime_error("the prober is at work: a callback may not run its loop");
    working_ = true;
    int32_t ran;
    {
      const py::gil_scoped_release release;
      ran = fc_prober_process(prober);
    }
    working_ = false;
    return ran;
  }

  uint64_t Probe(const std::string& host, int port, const py::dict& given, py::object callback);
  uint64_t Batch(const py::iterable& hosts, const py::dict& given, uint32_t packets_per_second,
                 py::object callback);
  bool Cancel(uint64_t probe);
  void NoteAlive(const std::string& host, int port, uint64_t rtt_ns);
  void NoteConnection(int fd);
  py::dict Stats() const;

 private:
  static void OnProbe(void* user_data, const fc_probe_result* result);
  static void OnBatch(void* user_data, size_t index, const fc_probe_result* result);
  template <typename... Arguments>
  static void Tell(OpenProbe* probe, Arguments... arguments);
  uint64_t Began(int32_t code, uint64_t id, std::unique_ptr<OpenProbe> probe);

  fc_prober* prober_ = nullptr;
  const pthread_t thread_;
  const pid_t process_;
  bool working_ = false;
  std::unordered_map<uint64_t, std::unique_ptr<OpenProbe>> open_;
};

template <typename... Arguments>
void Prober::Tell(OpenProbe* probe, Arguments... arguments) {
  const py::object callback = probe->callback;
  if (--probe->left == 0) probe->prober->open_.erase(probe->id);
  callback(arguments...);
}

void Prober::OnProbe(void* user_data, const fc_probe_result* result) {
  InPython("fastcontainer probe", [&] { Tell(static_cast<OpenProbe*>(user_data), ToPython(*result)); });
}

void Prober::OnBatch(void* user_data, size_t index, const fc_probe_result* result) {
  InPython("fastcontainer batch",
           [&] { Tell(static_cast<OpenProbe*>(user_data), index, ToPython(*result)); });
}

uint64_t Prober::Began(int32_t code, uint64_t id, std::unique_ptr<OpenProbe> probe) {
  if (code != FC_PENDING) Raise(code);
  probe->id = id;
  open_.emplace(id, std::move(probe));
  return id;
}

uint64_t Prober::Probe(const std::string& host, int port, const py::dict& given, py::object callback) {
  fc_prober* const prober = Use();
  const ProbeOptions options(given);
  const Address address = ParseAddress(host, port);
  std::unique_ptr<OpenProbe> probe(new OpenProbe{this, std::move(callback), 1});
  uint64_t id = 0;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code =
        fc_prober_probe(prober, address.get(), address.length, &options.fields, &OnProbe, probe.get(), &id);
  }
  return Began(code, id, std::move(probe));
}

uint64_t Prober::Batch(const py::iterable& hosts, const py::dict& given, uint32_t packets_per_second,
                       py::object callback) {
  fc_prober* const prober = Use();
  const ProbeOptions options(given);
  std::vector<sockaddr_storage> addresses;
  for (const py::handle item : hosts) {
    const auto host = item.cast<py::tuple>();
    addresses.push_back(ParseAddress(host[0].cast<std::string>(), host[1].cast<int>()).storage);
  }
  std::unique_ptr<OpenProbe> probe(new OpenProbe{this, std::move(callback), addresses.size()});
  uint64_t id = 0;
  int32_t code;
  {
    const py::gil_scoped_release release;
    code = fc_prober_batch(prober, addresses.data(), addresses.size(), &options.fields, packets_per_second,
                           &OnBatch, probe.get(), &id);
  }
  return Began(code, id, std::move(probe));
}

bool Prober::Cancel(uint64_t probe) {
  if (prober_ == nullptr) return false;
  if (fc_prober_cancel(Use(), probe) != FC_OK) return false;
  open_.erase(probe);
  return true;
}

void Prober::NoteAlive(const std::string& host, int port, uint64_t rtt_ns) {
  const Address address = ParseAddress(host, port);
  const int32_t code = fc_prober_note_alive(Use(), address.get(), address.length, rtt_ns);
  if (code != FC_OK) Raise(code);
}

void Prober::NoteConnection(int fd) {
  const int32_t code = fc_prober_note_connection(Use(), fd);
  if (code != FC_OK) Raise(code);
}

py::dict Prober::Stats() const {
  fc_prober_stats stats{};
  stats.struct_size = sizeof(stats);
  fc_prober_get_stats(Use(), &stats);
  using py::literals::operator""_a;
  return py::dict("open"_a = stats.open, "packets_sent"_a = stats.packets_sent,
                  "packets_received"_a = stats.packets_received, "packets_foreign"_a = stats.packets_foreign,
                  "packets_lost"_a = stats.packets_lost, "clock_steps"_a = stats.clock_steps,
                  "link_changes"_a = stats.link_changes, "shared"_a = stats.shared);
}

}  // namespace

void AddProber(py::module_& module) {
  py::class_<Prober>(module, "Prober", Plain())
      .def(py::init<uint32_t, uint32_t>(), py::arg("mechanism") = FC_PROBE_NONE,
           py::arg("receive_buffer") = 0)
      .def("fileno", [](const Prober& prober) { return fc_prober_fd(prober.Use()); })
      .def("deadline_ns", [](const Prober& prober) { return fc_prober_deadline(prober.Use()); })
      .def(
          "mechanism",
          [](const Prober& prober, int family) { return fc_prober_mechanism(prober.Use(), family); },
          py::arg("family"))
      .def("process", &Prober::Process)
      .def("probe", &Prober::Probe, py::arg("host"), py::arg("port"), py::arg("options"), py::arg("callback"))
      .def("batch", &Prober::Batch, py::arg("hosts"), py::arg("options"), py::arg("packets_per_second"),
           py::arg("callback"))
      .def("cancel", &Prober::Cancel, py::arg("probe"))
      .def("note_alive", &Prober::NoteAlive, py::arg("host"), py::arg("port"), py::arg("rtt_ns") = 0)
      .def("note_connection", &Prober::NoteConnection, py::arg("fd"))
      .def("stats", &Prober::Stats)
      .def("close", &Prober::Close)
      .def_property_readonly("closed", &Prober::closed);
}

}  // namespace fastcontainer::python
