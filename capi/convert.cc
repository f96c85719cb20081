#include "capi/convert.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace fastcontainer::capi {
namespace {

fc_error MakeError(int32_t code, std::string_view message, Nanos retry_after) {
  fc_error error = FC_ERROR_INIT;
  error.code = code;
  error.retry_after_ns = retry_after > 0 ? static_cast<uint64_t>(retry_after) : 0;
  size_t length = std::min(message.size(), sizeof(error.message) - 1);
  // Not in the middle of a UTF-8 sequence (RFC 3629: 10xxxxxx continues one).
  while (length < message.size() && length > 0 &&
         (static_cast<unsigned char>(message[length]) & 0xc0) == 0x80)
    --length;
  std::memcpy(error.message, message.data(), length);
  return error;
}

}  // namespace

int32_t Fail(fc_error* error, int32_t code, std::string_view message, Nanos retry_after) {
  if (error == nullptr) return code;
  const fc_error made = MakeError(code, message, retry_after);
  const uint32_t size = error->struct_size;
  if (size <= sizeof(uint32_t)) return code;
  std::memcpy(error, &made, std::min<size_t>(size, sizeof(made)));
  error->struct_size = size;
  if (size > offsetof(fc_error, message) && size < sizeof(made))
    reinterpret_cast<char*>(error)[size - 1] = '\0';
  return code;
}

int32_t Fail(fc_error* error, const absl::Status& status) {
  const auto message = status.message();
  return Fail(error, CodeOf(status), std::string_view(message.data(), message.size()));
}

void Clear(fc_error* error) { Fail(error, FC_OK, ""); }

int32_t CodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return FC_OK;
    case absl::StatusCode::kInvalidArgument:
      return FC_E_INVALID;
    case absl::StatusCode::kNotFound:
      return FC_E_NOT_FOUND;
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
      return FC_E_PERMISSION;
    case absl::StatusCode::kAlreadyExists:
      return FC_E_EXISTS;
    case absl::StatusCode::kUnimplemented:
      return FC_E_UNSUPPORTED;
    case absl::StatusCode::kDeadlineExceeded:
      return FC_E_TIMEOUT;
    case absl::StatusCode::kCancelled:
      return FC_E_SHUTDOWN;
    case absl::StatusCode::kResourceExhausted:
      return FC_E_NOMEM;
    // Of the CMDB: does not answer; cannot be read; a page of a revision that is gone; a lost
    // compare-and-set.
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
      return FC_E_CMDB;
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kAborted:
      return FC_E_CONFLICT;
    default:
      return FC_E_SYSTEM;
  }
}

absl::Status StatusOf(int32_t code, std::string_view text) {
  const absl::string_view message(text.data(), text.size());
  switch (code) {
    case FC_OK:
      return absl::OkStatus();
    case FC_E_INVALID:
      return absl::InvalidArgumentError(message);
    case FC_E_NOT_FOUND:
      return absl::NotFoundError(message);
    case FC_E_PERMISSION:
      return absl::PermissionDeniedError(message);
    case FC_E_EXISTS:
      return absl::AlreadyExistsError(message);
    case FC_E_UNSUPPORTED:
      return absl::UnimplementedError(message);
    case FC_E_TIMEOUT:
      return absl::DeadlineExceededError(message);
    case FC_E_SHUTDOWN:
      return absl::CancelledError(message);
    case FC_E_NOMEM:
      return absl::ResourceExhaustedError(message);
    case FC_E_CMDB:
      return absl::UnavailableError(message);
    case FC_E_CONFLICT:
    case FC_E_START_FAILED:
      return absl::AbortedError(message);
    default:
      return absl::InternalError(message);
  }
}

fc_error ToC(const RouteError& error) {
  return MakeError(static_cast<int32_t>(error.code), error.message, error.retry_after);
}

Address AddressOf(const sockaddr* address, uint32_t length) {
  if (address == nullptr || length < sizeof(sa_family_t)) return Address();
  const bool whole = (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) ||
                     (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6));
  return whole ? Address::FromSockaddr(address) : Address();
}

Nanos ToNanos(uint64_t duration) {
  return duration > static_cast<uint64_t>(kForever) ? kForever : static_cast<Nanos>(duration);
}

}  // namespace fastcontainer::capi
