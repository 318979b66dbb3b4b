// CRC-32C (Castagnoli), as in RFC 3720 appendix B.4.

#ifndef MXTALLY_AGENT_CHECKPOINT_CRC32C_H_
#define MXTALLY_AGENT_CHECKPOINT_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace mxtally {

uint32_t Crc32c(std::string_view bytes);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_CHECKPOINT_CRC32C_H_
