#include "lib/runtime/command.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace fastcontainer {
namespace {

constexpr const char* kInherited[] = {"PATH", "HOME",   "USER",     "LOGNAME",  "SHELL", "TMPDIR",
                                      "LANG", "LC_ALL", "LC_CTYPE", "LANGUAGE", "TZ"};
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

bool IsNameByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The value of a name that may be substituted; false for any other.
bool Lookup(std::string_view name, const StartRequest& request, std::string* out) {
  if (name == "ADDRESS")
    *out = request.address.WithPort(0).ToString();
  else if (name == "PORT")
    *out = absl::StrCat(request.address.port);
  else if (name == "EPOCH")
    *out = absl::StrCat(request.epoch);
  else if (name == "CONTAINER")
    *out = request.container;
  else
    return false;
  return true;
}

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

}  // namespace

std::string Substitute(std::string_view text, const StartRequest& request) {
  std::string out;
  std::string value;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '$') {
      out.push_back(text[i++]);
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '$') {
      out.push_back('$');
      i += 2;
      continue;
    }
    const bool braces = i + 1 < text.size() && text[i + 1] == '{';
    const size_t begin = i + (braces ? 2 : 1);
    size_t end = begin;
    while (end < text.size() && IsNameByte(text[end])) ++end;
    const bool closed = !braces || (end < text.size() && text[end] == '}');
    if (closed && Lookup(text.substr(begin, end - begin), request, &value)) {
      out += value;
      i = end + (braces ? 1 : 0);
    } else {
      out.push_back(text[i++]);
    }
  }
  return out;
}

std::vector<std::string> CommandArguments(const StartRequest& request) {
  std::vector<std::string> arguments;
  arguments.reserve(request.spec.command.size());
  for (const std::string& argument : request.spec.command) arguments.push_back(Substitute(argument, request));
  return arguments;
}

std::vector<std::string> CommandEnvironment(const StartRequest& request) {
  std::map<std::string, std::string> values;
  for (const char* name : kInherited)
    if (const char* value = std::getenv(name)) values[name] = value;
  for (const auto& [name, value] : request.spec.environment) values[name] = value;
  values["ADDRESS"] = request.address.WithPort(0).ToString();
  values["PORT"] = absl::StrCat(request.address.port);
  values["EPOCH"] = absl::StrCat(request.epoch);
  values["CONTAINER"] = request.container;
  values["FASTCONTAINER_INSTANCE"] = request.instance;
  std::vector<std::string> entries;
  entries.reserve(values.size());
  for (const auto& [name, value] : values) entries.push_back(absl::StrCat(name, "=", value));
  return entries;
}

std::vector<std::string> ProgramPaths(const std::string& program,
                                      const std::vector<std::string>& environment) {
  if (program.find('/') != std::string::npos) return {program};
  std::string search(kDefaultPath);
  for (const std::string& entry : environment)
    if (entry.rfind("PATH=", 0) == 0) search = entry.substr(5);
  std::vector<std::string> paths;
  // An empty entry is the working directory (POSIX); joined to "./", so that it has a slash.
  for (const absl::string_view folder : absl::StrSplit(search, ':'))
    paths.push_back(absl::StrCat(folder.empty() ? absl::string_view(".") : folder, "/", program));
  return paths;
}

absl::Status CheckStartRequest(const StartRequest& request) {
  const Spec& spec = request.spec;
  if (request.instance.empty()) return absl::InvalidArgumentError("an instance needs an id");
  if (HasNul(request.instance) || HasNul(request.container))
    return absl::InvalidArgumentError("an id must not hold a NUL byte");
  if (!request.address || request.address.port == 0)
    return absl::InvalidArgumentError("a container needs an address and a port to listen at");
  if (spec.command.empty() || spec.command[0].empty())
    return absl::InvalidArgumentError("the spec has no command; the runtime 'process' needs one");
  if (std::any_of(spec.command.begin(), spec.command.end(), HasNul) || HasNul(spec.directory))
    return absl::InvalidArgumentError("the spec's command or directory holds a NUL byte");
  for (const auto& [name, value] : spec.environment)
    if (name.empty() || HasNul(name) || HasNul(value) || name.find('=') != std::string::npos)
      return absl::InvalidArgumentError(absl::StrCat("the spec's environment variable '", name,
                                                     "': a name must not be empty or hold '=' or NUL"));
  const auto unsafe = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; };
  if (!spec.ready_http.empty() &&
      (spec.ready_http[0] != '/' || std::any_of(spec.ready_http.begin(), spec.ready_http.end(), unsafe)))
    return absl::InvalidArgumentError(
        "the spec's ready.http must be a path that starts with '/' and has no spaces");
  return absl::OkStatus();
}

}  // namespace fastcontainer
