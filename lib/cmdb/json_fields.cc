#include "lib/cmdb/json_fields.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"

namespace fastcontainer {
namespace {

using nlohmann::json;

constexpr size_t kShown = 60;  // bytes of a wrong value that an error repeats

// Looks at the text before a document is built of it: nesting, and keys that come twice, of which a document
// would silently keep the last.
class StructureCheck final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool start_array(size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    error_ = absl::StrCat("field \"", name, "\" appears twice in one object");
    return false;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    error_ = absl::StrCat("not valid JSON at byte ", position);
    return false;
  }

  const std::string& error() const { return error_; }

 private:
  bool Enter() {
    keys_.emplace_back();
    if (keys_.size() <= kMaxRecordDepth) return true;
    error_ = absl::StrCat("nested deeper than ", kMaxRecordDepth, " levels");
    return false;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> keys_;
  std::string error_;
};

std::string Shown(const json* value) {
  if (value == nullptr) return "nothing";
  std::string text = ToText(*value);
  if (text.size() <= kShown) return text;
  size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // a whole UTF-8 character
  return text.substr(0, end) + "...";
}

std::string RangeText(std::string_view what, double min, double max) {
  return absl::StrCat(std::string(what), " from ", min, " to ", max);
}

std::string NameText() {
  return absl::StrCat("a name of 1 to ", kMaxNameLength, " bytes without spaces and control characters");
}

bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

}  // namespace

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameLength) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > ' ' && byte != 0x7f;
  });
}

absl::StatusOr<json> ParseRecord(std::string_view text) {
  if (text.size() > kMaxRecordBytes) {
    return absl::InvalidArgumentError(absl::StrCat("longer than ", kMaxRecordBytes, " bytes: ", text.size()));
  }
  StructureCheck check;
  if (!json::sax_parse(text, &check)) return absl::InvalidArgumentError(check.error());
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("expected a JSON object, got ", Shown(&document)));
  }
  return document;
}

std::string ToText(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }

void AddUnknown(std::string_view fields, json* object) {
  if (fields.empty()) return;
  json unknown = json::parse(fields, nullptr, /*allow_exceptions=*/false);
  if (!unknown.is_object()) return;
  for (auto& [name, value] : unknown.items()) {
    json& slot = (*object)[name];
    if (slot.is_null()) {
      slot = std::move(value);
    } else if (slot.is_object() && value.is_object()) {
      for (auto& [inner, inner_value] : value.items())
        if (!slot.contains(inner)) slot[inner] = std::move(inner_value);
    }
  }
}

std::string FieldReader::PathOf(std::string_view name) const {
  return path_.empty() ? std::string(name) : absl::StrCat(path_, ".", std::string(name));
}

void FieldReader::FailAt(const std::string& path, std::string_view expected, const json* got) {
  if (!ok()) return;
  *status_ = absl::InvalidArgumentError(
      absl::StrCat("field \"", path, "\": expected ", std::string(expected), ", got ", Shown(got)));
}

void FieldReader::Fail(const char* name, std::string_view expected) {
  const auto found = object_.find(name);
  FailAt(PathOf(name), expected, found == object_.end() ? nullptr : &*found);
}

void FieldReader::FailInside(const char* name, std::string_view inner, std::string_view expected,
                             const json& got) {
  FailAt(absl::StrCat(PathOf(name), ".", std::string(inner)), expected, &got);
}

void FieldReader::Refuse(const char* name, std::string_view message) {
  if (ok())
    *status_ =
        absl::InvalidArgumentError(absl::StrCat("field \"", PathOf(name), "\": ", std::string(message)));
}

void FieldReader::Unsupported(const char* name, std::string_view accepted) {
  if (!ok()) return;
  const auto found = object_.find(name);
  *status_ = absl::UnimplementedError(
      absl::StrCat("field \"", PathOf(name), "\": ", Shown(found == object_.end() ? nullptr : &*found),
                   " is not supported yet; accepted is ", std::string(accepted)));
}

const json* FieldReader::Raw(const char* name) {
  if (!ok()) return nullptr;
  read_.insert(name);
  const auto found = object_.find(name);
  return found == object_.end() ? nullptr : &*found;
}

void FieldReader::Require(const char* name, std::string_view expected) {
  if (!Has(name)) FailAt(PathOf(name), expected, nullptr);
}

void FieldReader::Version() {
  const json* value = Raw("v");
  if (value != nullptr && *value != 1) Fail("v", "1");
}

bool FieldReader::ReadInteger(const char* name, uint64_t min, uint64_t max, uint64_t* out) {
  const json* value = Raw(name);
  if (value == nullptr) return false;
  const auto* number = value->get_ptr<const json::number_unsigned_t*>();
  if (number == nullptr || *number < min || *number > max) {
    Fail(name, absl::StrCat("an integer from ", min, " to ", max));
    return false;
  }
  *out = *number;
  return true;
}

void FieldReader::Number(const char* name, double min, double max, double* out) {
  const json* value = Raw(name);
  if (value == nullptr) return;
  if (!value->is_number() || value->get<double>() < min || value->get<double>() > max)
    return Fail(name, RangeText("a number", min, max));
  *out = value->get<double>();
}

void FieldReader::Duration(const char* name, double min, double max, Nanos unit, Nanos* out) {
  double value = 0;
  if (!Has(name)) return;
  Number(name, min, max, &value);
  if (ok()) *out = static_cast<Nanos>(value * static_cast<double>(unit) + 0.5);
}

void FieldReader::Durations(const char* name, size_t max_count, double min, double max, Nanos unit,
                            std::vector<Nanos>* out) {
  const json* value = Raw(name);
  if (value == nullptr) return;
  const std::string expected =
      absl::StrCat("at most ", max_count, " ", RangeText("numbers", min, max), " in an array");
  if (!value->is_array() || value->size() > max_count) return Fail(name, expected);
  out->clear();
  for (const json& element : *value) {
    if (!element.is_number() || element.get<double>() < min || element.get<double>() > max)
      return Fail(name, expected);
    out->push_back(static_cast<Nanos>(element.get<double>() * static_cast<double>(unit) + 0.5));
  }
}

void FieldReader::String(const char* name, std::string* out) {
  const json* value = Raw(name);
  if (value == nullptr) return;
  const auto* text = value->get_ptr<const std::string*>();
  if (text == nullptr || HasNul(*text)) return Fail(name, "a string without NUL");
  *out = *text;
}

void FieldReader::Name(const char* name, std::string* out) {
  const json* value = Raw(name);
  if (value == nullptr) return;
  const auto* text = value->get_ptr<const std::string*>();
  if (text == nullptr || !IsName(*text)) return Fail(name, NameText());
  *out = *text;
}

void FieldReader::Strings(const char* name, std::vector<std::string>* out) {
  const json* value = Raw(name);
  if (value == nullptr) return;
  constexpr std::string_view kExpected = "an array of strings, not empty, the first not \"\"";
  if (!value->is_array() || value->empty()) return Fail(name, kExpected);
  std::vector<std::string> strings;
  for (const json& element : *value) {
    const auto* text = element.get_ptr<const std::string*>();
    if (text == nullptr || HasNul(*text)) return Fail(name, kExpected);
    strings.push_back(*text);
  }
  if (strings.front().empty()) return Fail(name, kExpected);
  *out = std::move(strings);
}

void FieldReader::StringMap(const char* name, std::map<std::string, std::string>* out) {
  const json* value = Raw(name);
  if (value == nullptr) return;
  if (!value->is_object()) return Fail(name, "an object of strings");
  out->clear();
  for (const auto& [inner, element] : value->items()) {
    const auto* text = element.get_ptr<const std::string*>();
    const std::string path = absl::StrCat(PathOf(name), ".", inner);
    if (text == nullptr || HasNul(*text)) return FailAt(path, "a string without NUL", &element);
    // An environment cannot hold these (POSIX, environ); labels need them no more.
    if (inner.empty() || HasNul(inner) || absl::StrContains(inner, '='))
      return FailAt(path, "a name that is not empty and has no \"=\" and no NUL", &element);
    (*out)[inner] = *text;
  }
}

void FieldReader::Object(const char* name, absl::FunctionRef<void(FieldReader&)> read) {
  const json* value = Raw(name);
  if (value == nullptr) return;
  if (!value->is_object()) return Fail(name, "an object");
  FieldReader inside(*value, PathOf(name), status_);
  read(inside);
  json unknown = inside.UnknownFields();
  if (!unknown.empty()) unknown_inside_[name] = std::move(unknown);
}

void FieldReader::Objects(const char* name, absl::FunctionRef<void(FieldReader&)> read) {
  const json* value = Raw(name);
  if (value == nullptr) return;
  if (!value->is_array()) return Fail(name, "an array of objects");
  for (size_t i = 0; i < value->size() && ok(); ++i) {
    const std::string path = absl::StrCat(PathOf(name), "[", i, "]");
    if (!(*value)[i].is_object()) return FailAt(path, "an object", &(*value)[i]);
    FieldReader inside((*value)[i], path, status_);
    read(inside);
  }
}

json FieldReader::UnknownFields() const {
  json unknown = unknown_inside_.is_null() ? json::object() : unknown_inside_;
  for (const auto& [name, value] : object_.items())
    if (read_.find(name) == read_.end()) unknown[name] = value;
  return unknown;
}

std::string FieldReader::Unknown() const {
  const json unknown = UnknownFields();
  return unknown.empty() ? "" : ToText(unknown);
}

}  // namespace fastcontainer
