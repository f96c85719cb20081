#include "examples/common/strict_json.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

namespace examples {

using nlohmann::json;

std::optional<json> ParseStrict(std::string_view text, std::string* error) {
  std::vector<std::set<std::string>> open;  // the keys seen of each object that is being read
  std::string twice;
  auto see = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key && !open.back().insert(parsed.get<std::string>()).second) {
      if (twice.empty()) twice = parsed.get<std::string>();
    }
    return true;
  };
  try {
    json value = json::parse(text, see);
    if (twice.empty()) return value;
    *error = "key \"" + twice + "\" appears twice in one object";
  } catch (const json::exception& e) {
    *error = e.what();
  }
  return std::nullopt;
}

std::optional<json> ReadStrict(const std::string& path, std::string* error) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream file(path);
    if (!file) {
      *error = path + ": cannot be opened";
      return std::nullopt;
    }
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  auto value = ParseStrict(text, error);
  if (!value) *error = path + ": " + *error;
  return value;
}

Fields::Fields(const json& object, std::string name, std::string* error)
    : object_(object), name_(std::move(name)), error_(error) {
  if (!object_.is_object() && error_->empty()) {
    *error_ = name_.empty() ? "the file must hold one object" : name_ + ": must be an object";
  }
}

void Fields::Fail(const std::string& field, const std::string& message) {
  if (error_->empty()) *error_ = Name(field) + ": " + message;
}

const json* Fields::Find(const char* field) {
  known_.insert(field);
  if (!object_.is_object()) return nullptr;
  auto found = object_.find(field);
  return found == object_.end() ? nullptr : &*found;
}

void Fields::Read(const char* field, std::string* value) {
  const json* found = Find(field);
  if (found == nullptr) return;
  if (!found->is_string()) return Fail(field, "must be a string");
  *value = found->get<std::string>();
}

void Fields::Read(const char* field, bool* value) {
  const json* found = Find(field);
  if (found == nullptr) return;
  if (!found->is_boolean()) return Fail(field, "must be true or false");
  *value = found->get<bool>();
}

void Fields::Read(const char* field, double* value, double minimum) {
  const json* found = Find(field);
  if (found == nullptr) return;
  if (!found->is_number() || found->get<double>() < minimum) {
    return Fail(field, "must be a number of at least " + json(minimum).dump());
  }
  *value = found->get<double>();
}

void Fields::Read(const char* field, uint64_t* value, uint64_t minimum, uint64_t maximum) {
  const json* found = Find(field);
  if (found == nullptr) return;
  if (!found->is_number_unsigned() || found->get<uint64_t>() < minimum || found->get<uint64_t>() > maximum) {
    return Fail(field,
                "must be a whole number from " + std::to_string(minimum) + " to " + std::to_string(maximum));
  }
  *value = found->get<uint64_t>();
}

void Fields::Read(const char* field, uint32_t* value, uint32_t minimum, uint32_t maximum) {
  uint64_t wide = *value;
  Read(field, &wide, uint64_t{minimum}, uint64_t{maximum});
  *value = static_cast<uint32_t>(wide);
}

const json* Fields::Object(const char* field) {
  const json* found = Find(field);
  if (found != nullptr && !found->is_object()) {
    Fail(field, "must be an object");
    return nullptr;
  }
  return found;
}

const json* Fields::Array(const char* field) {
  const json* found = Find(field);
  if (found != nullptr && !found->is_array()) {
    Fail(field, "must be an array");
    return nullptr;
  }
  return found;
}

bool Fields::Finish() {
  if (object_.is_object()) {
    for (const auto& [key, value] : object_.items()) {
      if (known_.count(key) == 0) Fail(key, "is not a field that is known here");
    }
  }
  return error_->empty();
}

}  // namespace examples
