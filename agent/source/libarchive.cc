#include "agent/source/libarchive.h"

#include <dlfcn.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace mxtally {
namespace {

// Why the last call of dlopen() or dlsym() on this thread failed.
const char* LoaderError() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): its state is each thread's own.
  const char* const text = ::dlerror();
  return text == nullptr ? "unknown error" : text;
}

}  // namespace

absl::StatusOr<LibArchive> LoadLibArchive(const char* soname) {
  void* const library = ::dlopen(soname, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("compressed files are read with libarchive, which cannot be loaded: install "
                     "the package libarchive13 or libarchive13t64 (",
                     LoaderError(), ")"));
  }
  LibArchive functions;
  absl::Status status;
  const auto find = [&](const char* name, auto& function) {
    void* const symbol = ::dlsym(library, name);
    if (symbol == nullptr) {
      status = absl::FailedPreconditionError(absl::StrCat(
          "compressed files are read with libarchive, which is too old (", LoaderError(), ")"));
    }
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol);
  };
  find("archive_read_new", functions.read_new);
  find("archive_read_free", functions.read_free);
  find("archive_read_support_filter_gzip", functions.read_support_filter_gzip);
  find("archive_read_support_filter_bzip2", functions.read_support_filter_bzip2);
  find("archive_read_support_filter_zstd", functions.read_support_filter_zstd);
  find("archive_read_support_format_raw", functions.read_support_format_raw);
  find("archive_read_support_format_empty", functions.read_support_format_empty);
  find("archive_read_open", functions.read_open);
  find("archive_read_next_header", functions.read_next_header);
  find("archive_read_data_block", functions.read_data_block);
  find("archive_filter_code", functions.filter_code);
  find("archive_filter_bytes", functions.filter_bytes);
  find("archive_set_error", functions.set_error);
  find("archive_error_string", functions.error_string);
  if (!status.ok()) return status;
  return functions;
}

absl::StatusOr<const LibArchive*> LoadLibArchive() {
  static const absl::StatusOr<LibArchive> loaded = LoadLibArchive(MXTALLY_LIBARCHIVE_SONAME);
  if (!loaded.ok()) return loaded.status();
  return &*loaded;
}

}  // namespace mxtally
