#include "examples/fcctl/archive.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "examples/common/strict_json.h"

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr uint64_t kVersion = 1;
constexpr const char* kHeader =
    "the first line must be {\"fastcontainer_export\":1,\"revision\":NUMBER,\"records\":NUMBER}";
constexpr const char* kLine = "accepted is {\"key\":\"/fc/v1/...\",\"value\":{...}}";
constexpr const char* kKeys =
    "accepted are the keys of key, class, spec, placement and host records, and /fc/v1/restored";

bool Starts(const std::string& text, const char* with) { return text.rfind(with, 0) == 0; }

bool WriteAll(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

std::string System(const std::string& what) { return what + ": " + strerror(errno); }

// By way of a file beside it, so that an interrupted export leaves the earlier one as it was.
bool Replace(const std::string& path, const std::string& text, std::string* error) {
  const std::string beside = path + ".new." + std::to_string(getpid());
  const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) {
    *error = System(beside);
    return false;
  }
  bool good = WriteAll(fd, text) && fsync(fd) == 0;
  if (!good) *error = System(beside);
  close(fd);
  if (good && rename(beside.c_str(), path.c_str()) != 0) {
    *error = System(path);
    good = false;
  }
  if (!good) unlink(beside.c_str());
  return good;
}

bool Only(const json& object, std::initializer_list<const char*> fields) {
  for (const char* field : fields)
    if (!object.contains(field)) return false;
  return object.size() == fields.size();
}

bool ReadHeader(const json& line, uint64_t* records, std::string* error) {
  if (!line.is_object() || !Only(line, {"fastcontainer_export", "revision", "records"}) ||
      !line["fastcontainer_export"].is_number_unsigned() || !line["revision"].is_number_unsigned() ||
      !line["records"].is_number_unsigned()) {
    *error = kHeader;
  } else if (line["fastcontainer_export"] != kVersion) {
    *error = "\"fastcontainer_export\" is " + line["fastcontainer_export"].dump() + "; accepted is 1";
  } else {
    *records = line["records"].get<uint64_t>();
  }
  return error->empty();
}

bool CheckRestored(const json& value, std::string* error) {
  if (!value.is_object() || !value.contains("count") || !value["count"].is_number_unsigned())
    *error = "field \"count\": a whole number is needed";
  return error->empty();
}

bool ReadRecord(const json& line, Records* records, std::string* error) {
  if (!line.is_object() || !Only(line, {"key", "value"}) || !line["key"].is_string() ||
      !line["value"].is_object()) {
    *error = kLine;
    return false;
  }
  const std::string key = line["key"].get<std::string>();
  uint32_t kind = 0;
  std::string name;
  if (!ParseKey(key, &kind, &name)) {
    *error = "key \"" + key + "\"" + (IsLeased(key) ? " has a lease, and is never imported; " : ": ") + kKeys;
    return false;
  }
  if (kind == kRestoredKind) {
    if (!CheckRestored(line["value"], error)) return false;
  } else if (const Answer answer = Check(kind, name, line["value"].dump()); answer.code != FC_OK) {
    *error = answer.message;
    return false;
  }
  if (!records->emplace(key, line["value"]).second) *error = "key \"" + key + "\" appears twice";
  return error->empty();
}

}  // namespace

bool IsLeased(const std::string& key) { return Starts(key, "/fc/v1/l/") || Starts(key, "/fc/v1/x/"); }

bool ParseKey(const std::string& key, uint32_t* kind, std::string* name) {
  if (key == kRestoredKey) {
    *kind = kRestoredKind;
    name->clear();
    return true;
  }
  char buffer[1024];
  if (fc_record_name(Str(key), kind, buffer, sizeof buffer) < 0) return false;
  *name = buffer;
  // A key that is not written as the library writes it would never be read.
  std::string ignored;
  return RecordKey(*kind, *name, &ignored) == key;
}

bool WriteArchive(const std::string& path, const Records& records, uint64_t revision, std::string* error) {
  const ordered_json header = {
      {"fastcontainer_export", kVersion}, {"revision", revision}, {"records", records.size()}};
  std::string text = header.dump() + "\n";
  for (const auto& [key, value] : records) {
    ordered_json line = {{"key", key}};
    line["value"] = value;
    text += line.dump() + "\n";
  }
  if (path != "-") return Replace(path, text, error);
  if (WriteAll(STDOUT_FILENO, text)) return true;
  *error = System("standard output");
  return false;
}

bool ReadArchive(const std::string& path, Records* records, std::string* error) {
  std::ifstream file;
  if (path != "-") file.open(path);
  std::istream& in = path == "-" ? std::cin : file;
  if (!in) {
    *error = System(path);
    return false;
  }
  const std::string where = path == "-" ? "standard input" : path;
  uint64_t announced = 0;
  uint64_t number = 0;
  for (std::string line; error->empty() && std::getline(in, line);) {
    ++number;
    const auto value = examples::ParseStrict(line, error);
    if (!value) {
      *error += std::string("; ") + (number == 1 ? kHeader : kLine);
      break;
    }
    if (number == 1)
      ReadHeader(*value, &announced, error);
    else
      ReadRecord(*value, records, error);
  }
  if (error->empty() && number == 0) *error = kHeader;
  if (error->empty() && records->size() != announced)
    *error = "the file ends after " + std::to_string(records->size()) + " records; its header says " +
             std::to_string(announced);
  if (error->empty()) return true;
  *error = where + ":" + std::to_string(std::max<uint64_t>(number, 1)) + ": " + *error;
  return false;
}
