#include "capi/vtable_runtime.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "capi/convert.h"
#include "capi/struct_size.h"
#include "nlohmann/json.hpp"

namespace fastcontainer::capi {
namespace {

using nlohmann::json;

absl::Status StatusOfAnswer(const Answer& answer) {
  if (answer.code >= 0) return absl::OkStatus();
  if (!answer.message.empty()) return StatusOf(answer.code, answer.message);
  return StatusOf(answer.code, absl::StrCat("the runtime's vtable answered ", fc_code_name(answer.code)));
}

// The start request as the vtable's start() takes it, for a call that comes later.
int32_t CallStart(const fc_runtime_vtable& vtable, void* user_data, fc_op op, const StartRequest& request) {
  sockaddr_storage address{};
  fc_start_request out{};
  out.struct_size = sizeof(out);
  out.replica = request.replica;
  out.instance = ToC(request.instance);
  out.container = ToC(request.container);
  out.spec_json = ToC(request.spec.json);
  out.spec_revision = ToC(request.spec_revision);
  out.epoch = request.epoch;
  out.prepared = request.prepared ? 1 : 0;
  out.address_length = request.address.ToSockaddr(&address);
  out.address = reinterpret_cast<const sockaddr*>(&address);
  return vtable.start(user_data, op, &out);
}

absl::StatusOr<RunningInstance> RunningOf(const Record& record) {
  const auto wrong = [&](const char* field) {
    return absl::InvalidArgumentError(absl::StrCat("recover: instance \"", record.key, "\": ", field));
  };
  const json value = json::parse(record.value, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return wrong("the value is not a JSON object");
  RunningInstance running;
  running.instance = record.key;
  const auto container = value.find("container");
  if (container == value.end() || !container->is_string()) return wrong("\"container\": expected a string");
  running.container = container->get<std::string>();
  const auto epoch = value.find("epoch");
  if (epoch == value.end() || !epoch->is_number_unsigned()) return wrong("\"epoch\": expected a number");
  running.epoch = epoch->get<uint64_t>();
  if (const auto replica = value.find("replica"); replica != value.end()) {
    if (!replica->is_number_unsigned()) return wrong("\"replica\": expected a number");
    running.replica = replica->get<uint32_t>();
  }
  if (const auto revision = value.find("spec_revision"); revision != value.end()) {
    if (!revision->is_string()) return wrong("\"spec_revision\": expected a string");
    running.spec_revision = revision->get<std::string>();
  }
  if (const auto ready = value.find("ready"); ready != value.end()) {
    if (!ready->is_boolean()) return wrong("\"ready\": expected true or false");
    running.ready = ready->get<bool>();
  }
  const auto address = value.find("address");
  if (address == value.end() || !address->is_string()) return wrong("\"address\": expected a string");
  const absl::StatusOr<Address> parsed = Address::Parse(address->get_ref<const std::string&>());
  if (!parsed.ok() || parsed->port == 0) return wrong("\"address\": expected a numeric address with a port");
  running.address = *parsed;
  return running;
}

absl::StatusOr<std::vector<RunningInstance>> AllRunningOf(const Answer& answer) {
  if (answer.code < 0) return StatusOfAnswer(answer);
  std::vector<RunningInstance> all;
  for (const Record& record : answer.records) {
    absl::StatusOr<RunningInstance> running = RunningOf(record);
    if (!running.ok()) return running.status();
    all.push_back(*std::move(running));
  }
  return all;
}

}  // namespace

int32_t ReadRuntimeVtable(const fc_runtime_vtable* in, fc_runtime_vtable* out, fc_error* error) {
  *out = fc_runtime_vtable{};
  if (const int32_t code = ReadStruct(in, "fc_runtime_vtable", out, error); code != FC_OK) return code;
  if (out->start == nullptr || out->stop == nullptr)
    return Fail(error, FC_E_INVALID, "fc_runtime_vtable: start and stop are required");
  return FC_OK;
}

VtableRuntime::~VtableRuntime() {
  for (const fc_op op : pending_) ops_.Remove(op);
}

fc_op VtableRuntime::Add(bool repeats, VtableOps::Finish finish) {
  const auto self = std::make_shared<fc_op>(0);
  *self = ops_.Add(repeats, [this, self, repeats, finish = std::move(finish)](Answer& answer) mutable {
    if (!repeats || answer.code < 0) pending_.erase(*self);
    finish(answer);
  });
  pending_.insert(*self);
  return *self;
}

void VtableRuntime::Start(const StartRequest& request, StartCallback callback) {
  const fc_op op = Add(
      false, [callback = std::move(callback)](Answer& answer) mutable { callback(StatusOfAnswer(answer)); });
  ops_.Submit(op, [this, op, request] { return CallStart(vtable_, user_.data(), op, request); });
}

void VtableRuntime::Stop(const InstanceId& instance, Nanos grace, StopCallback callback) {
  const fc_op op = Add(
      false, [callback = std::move(callback)](Answer& answer) mutable { callback(StatusOfAnswer(answer)); });
  ops_.Submit(op, [this, op, instance, grace] {
    return vtable_.stop(user_.data(), op, ToC(instance), static_cast<uint64_t>(grace < 0 ? 0 : grace));
  });
}

void VtableRuntime::Recover(RecoverCallback callback) {
  const fc_op op = Add(
      false, [callback = std::move(callback)](Answer& answer) mutable { callback(AllRunningOf(answer)); });
  ops_.Submit(op, [this, op] {
    if (vtable_.recover != nullptr) return vtable_.recover(user_.data(), op);
    fc_result nothing{};
    nothing.struct_size = sizeof(nothing);
    return ops_.Complete(op, &nothing);
  });
}

void VtableRuntime::OnExit(ExitCallback callback) {
  if (vtable_.watch_exits == nullptr) return;
  const fc_op op = Add(true, [callback = std::move(callback)](Answer& answer) mutable {
    if (answer.code < 0 || answer.watch_kind != FC_WATCH_DELETE || answer.records.size() != 1) return;
    callback(ExitReport{std::move(answer.records.front().key), std::move(answer.message)});
  });
  ops_.Submit(op, [this, op] { return vtable_.watch_exits(user_.data(), op); });
}

}  // namespace fastcontainer::capi
