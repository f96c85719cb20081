// JSON as the programs beside this file read it: no key twice, no field that nobody knows, and an error that
// says where.
#ifndef FASTCONTAINER_EXAMPLES_COMMON_STRICT_JSON_H_
#define FASTCONTAINER_EXAMPLES_COMMON_STRICT_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace examples {

// Nothing, and *error, if `text` is not one JSON value or an object in it has a key twice.
std::optional<nlohmann::json> ParseStrict(std::string_view text, std::string* error);
// The same for the contents of a file; "-" is standard input.
std::optional<nlohmann::json> ReadStrict(const std::string& path, std::string* error);

// Reads the fields of one object. The first thing that is wrong stays in *error, with the field's whole name.
class Fields {
 public:
  Fields(const nlohmann::json& object, std::string name, std::string* error);

  void Read(const char* field, std::string* value);
  void Read(const char* field, bool* value);
  void Read(const char* field, double* value, double minimum);
  void Read(const char* field, uint64_t* value, uint64_t minimum, uint64_t maximum);
  void Read(const char* field, uint32_t* value, uint32_t minimum, uint32_t maximum);
  // The object or array of that name, or nullptr.
  const nlohmann::json* Object(const char* field);
  const nlohmann::json* Array(const char* field);
  // To be called last: an unknown field is an error. True if nothing was wrong.
  bool Finish();
  void Fail(const std::string& field, const std::string& message);

 private:
  const nlohmann::json* Find(const char* field);
  std::string Name(const std::string& field) const { return name_.empty() ? field : name_ + "." + field; }

  const nlohmann::json& object_;
  std::string name_;
  std::string* error_;
  std::set<std::string> known_;
};

}  // namespace examples

#endif  // FASTCONTAINER_EXAMPLES_COMMON_STRICT_JSON_H_
