// Strict reading of a record's JSON: the first error names the field, what is accepted, and what was there.
#ifndef FASTCONTAINER_LIB_CMDB_JSON_FIELDS_H_
#define FASTCONTAINER_LIB_CMDB_JSON_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/clock.h"
#include "nlohmann/json.hpp"

namespace fastcontainer {

inline constexpr size_t kMaxRecordBytes = 64 * 1024;
// Of a score table: 10,000 hosts with names of 80 bytes, and within etcd's 1.5 MiB for a request.
inline constexpr size_t kMaxScoresBytes = 1024 * 1024;
inline constexpr int kMaxRecordDepth = 16;

// One JSON object of at most kMaxRecordBytes and kMaxRecordDepth, with no key twice in any object.
absl::StatusOr<nlohmann::json> ParseRecord(std::string_view text);
// Of a container, host or class: 1 to kMaxNameLength bytes, none of them a space or a control.
bool IsName(std::string_view name);

// Reads the fields of one object. A field that is absent leaves its variable as it is. After the first error
// nothing more is read. `status` is shared with the readers of the objects inside.
class FieldReader {
 public:
  FieldReader(const nlohmann::json& object, std::string path, absl::Status* status)
      : object_(object), path_(std::move(path)), status_(status) {}

  bool Has(const char* name) const { return object_.contains(name); }
  void Require(const char* name, std::string_view expected);
  // "v" is 1 or absent.
  void Version();

  template <typename Int>
  void Integer(const char* name, Int min, Int max, Int* out) {
    uint64_t value = 0;
    if (ReadInteger(name, static_cast<uint64_t>(min), static_cast<uint64_t>(max), &value))
      *out = static_cast<Int>(value);
  }
  void Number(const char* name, double min, double max, double* out);
  // A number, with a fraction or without, of `unit` nanoseconds.
  void Duration(const char* name, double min, double max, Nanos unit, Nanos* out);
  void Durations(const char* name, size_t max_count, double min, double max, Nanos unit,
                 std::vector<Nanos>* out);
  void String(const char* name, std::string* out);
  // A container's, host's or class's name (IsName).
  void Name(const char* name, std::string* out);
  void Strings(const char* name, std::vector<std::string>* out);
  void StringMap(const char* name, std::map<std::string, std::string>* out);
  // Calls `read` with the object's own reader. The fields it does not read are unknown ones of this object.
  void Object(const char* name, absl::FunctionRef<void(FieldReader&)> read);
  // Calls `read` for each element, which must be an object.
  void Objects(const char* name, absl::FunctionRef<void(FieldReader&)> read);
  const nlohmann::json* Raw(const char* name);

  void Fail(const char* name, std::string_view expected);
  // Of `inner` within the object `name`; `got` is what stands there.
  void FailInside(const char* name, std::string_view inner, std::string_view expected,
                  const nlohmann::json& got);
  // As Fail, for a whole sentence.
  void Refuse(const char* name, std::string_view message);
  // A value that is known by name but not offered by this version: Unimplemented.
  void Unsupported(const char* name, std::string_view accepted);
  bool ok() const { return status_->ok(); }

  // The fields that nobody read, as a JSON object; "" if there are none.
  std::string Unknown() const;

 private:
  bool ReadInteger(const char* name, uint64_t min, uint64_t max, uint64_t* out);
  std::string PathOf(std::string_view name) const;
  void FailAt(const std::string& path, std::string_view expected, const nlohmann::json* got);
  nlohmann::json UnknownFields() const;

  const nlohmann::json& object_;
  const std::string path_;
  absl::Status* const status_;
  std::set<std::string, std::less<>> read_;
  nlohmann::json unknown_inside_;  // of the objects inside, by their name
};

// Adds `fields` (what Unknown() gave) to `object`; what `object` has already stays.
void AddUnknown(std::string_view fields, nlohmann::json* object);
std::string ToText(const nlohmann::json& object);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_JSON_FIELDS_H_
