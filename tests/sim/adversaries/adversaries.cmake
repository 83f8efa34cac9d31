# Counts how often signatures and VRF proofs are verified in programs of the simulator: the linker sends the calls through
# work_count.cpp.
set(verify_vrf _ZN6sluice6crypto9VrfVerifyERKNS_10FixedBytesILm32ENS0_15VrfPublicKeyTagEEESt4spanIKhLm18446744073709551615EERKNS1_ILm80ENS0_11VrfProofTagEEE)
set(verify_schnorr _ZN6sluice6crypto13VerifySchnorrERKNS_10FixedBytesILm32ENS0_14XOnlyPubKeyTagEEERKNS1_ILm32ENS0_10Hash256TagEEERKNS1_ILm64ENS0_19SchnorrSignatureTagEEE)
foreach(symbol ${verify_vrf} ${verify_schnorr})
  target_link_options(sluice_sim INTERFACE "LINKER:--wrap=${symbol}" "LINKER:--undefined=__wrap_${symbol}")
endforeach()
