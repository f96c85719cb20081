// Keys and checks of the library's records. No engine, any thread.
#include "capi/record.h"

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "capi/convert.h"
#include "capi/guard.h"

namespace fastcontainer::capi {
namespace {

static_assert(FC_RECORD_KEY == static_cast<uint32_t>(RecordKind::kKey) &&
              FC_RECORD_CLASS == static_cast<uint32_t>(RecordKind::kClass) &&
              FC_RECORD_SPEC == static_cast<uint32_t>(RecordKind::kSpec) &&
              FC_RECORD_PLACEMENT == static_cast<uint32_t>(RecordKind::kPlacement) &&
              FC_RECORD_HOST == static_cast<uint32_t>(RecordKind::kHost) &&
              FC_RECORD_SCORES == static_cast<uint32_t>(RecordKind::kScores));

int32_t WriteText(const std::string& text, char* buffer, size_t capacity) {
  if (buffer == nullptr || capacity <= text.size()) return FC_E_INVALID;
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return static_cast<int32_t>(text.size());
}

int32_t Key(uint32_t kind, fc_str name, char* buffer, size_t capacity) {
  if (kind > FC_RECORD_SCORES || name.length > kMaxNameLength) return FC_E_INVALID;
  const auto record = static_cast<RecordKind>(kind);
  if (name.length == 0) return WriteText(RecordKindPrefix(record), buffer, capacity);
  if (record != RecordKind::kKey) return WriteText(RecordKey(record, View(name)), buffer, capacity);
  // Under another spelling no request would find it.
  const absl::StatusOr<std::string> normal = NormalizeKey(View(name));
  if (!normal.ok()) return FC_E_INVALID;
  return WriteText(RecordKey(record, *normal), buffer, capacity);
}

int32_t Name(fc_str key, uint32_t* kind, char* buffer, size_t capacity) {
  const absl::StatusOr<ParsedKey> parsed = ParseRecordKey(View(key));
  if (!parsed.ok() || parsed->kind > RecordKind::kScores) return FC_E_INVALID;
  if (kind != nullptr) *kind = static_cast<uint32_t>(parsed->kind);
  return WriteText(parsed->name, buffer, capacity);
}

absl::Status CheckSpec(std::string_view json) {
  const absl::StatusOr<std::string> class_name = SpecClass(json);
  if (!class_name.ok()) return class_name.status();
  // What is missing may come from the class, which is not at hand.
  return DecodeSpec(json, class_name->empty() ? "" : R"({"command":["from-the-class"]})").status();
}

absl::Status CheckKeyRecord(std::string_view name, std::string_view json) {
  const absl::StatusOr<std::string> normal = NormalizeKey(name);
  if (!normal.ok()) return normal.status();
  if (*normal != name)
    return absl::InvalidArgumentError(absl::StrCat("requests look it up as \"", *normal, "\""));
  return DecodeKey(json).status();
}

absl::Status CheckJson(RecordKind kind, std::string_view name, std::string_view json) {
  switch (kind) {
    case RecordKind::kKey:
      return CheckKeyRecord(name, json);
    case RecordKind::kClass:
      if (name == kAllClasses)
        return absl::InvalidArgumentError("it stands for all classes, in score tables");
      return CheckClass(json);
    case RecordKind::kSpec:
      return CheckSpec(json);
    case RecordKind::kPlacement:
      return DecodePlacement(json).status();
    case RecordKind::kHost:
      return DecodeHost(json).status();
    case RecordKind::kScores:
      return DecodeScores(json).status();
    case RecordKind::kHeartbeat:
      return DecodeHeartbeat(json).status();
  }
  return absl::InvalidArgumentError("kind: accepted are FC_RECORD_KEY to FC_RECORD_SCORES");
}

}  // namespace

absl::Status CheckRecord(RecordKind kind, std::string_view name, std::string_view json) {
  absl::Status status;
  if (name.empty() || name.size() > kMaxNameLength) {
    status = absl::InvalidArgumentError(absl::StrCat("the name has 1 to ", kMaxNameLength, " bytes"));
  } else {
    status = CheckJson(kind, name, json);
  }
  return status.ok() ? status : InRecord(kind, name, status);
}

}  // namespace fastcontainer::capi

namespace capi = fastcontainer::capi;

extern "C" {

int32_t fc_record_key(uint32_t kind, fc_str name, char* buffer, size_t capacity) {
  return capi::Guard(nullptr, [&] { return capi::Key(kind, name, buffer, capacity); });
}

int32_t fc_record_name(fc_str key, uint32_t* kind, char* buffer, size_t capacity) {
  return capi::Guard(nullptr, [&] { return capi::Name(key, kind, buffer, capacity); });
}

int32_t fc_record_check(uint32_t kind, fc_str name, fc_str json, fc_error* error) {
  return capi::Guard(error, [&]() -> int32_t {
    capi::Clear(error);
    if (kind > FC_RECORD_SCORES)
      return capi::Fail(error, FC_E_INVALID, "kind: accepted are FC_RECORD_KEY to FC_RECORD_SCORES");
    const absl::Status status =
        capi::CheckRecord(static_cast<fastcontainer::RecordKind>(kind), capi::View(name), capi::View(json));
    return status.ok() ? FC_OK : capi::Fail(error, status);
  });
}

}  // extern "C"
