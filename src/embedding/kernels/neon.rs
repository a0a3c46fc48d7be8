//! The products on 64-bit ARM. Unsafe as a whole: see the head of `kernels`.

use super::{ROWS, Tile};
use crate::embedding::asset::GROUP;
use std::arch::aarch64::{
    int32x4_t, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32, vfmaq_n_f32, vget_low_s8, vget_low_s16,
    vld1_u16, vld1q_f32, vld2q_s8, vmlal_high_n_s16, vmlal_n_s16, vmovl_high_s8, vmovl_s8,
    vreinterpretq_f32_u32, vshll_n_u16, vst1q_f32,
};

/// # Safety
/// The tile's lengths fit each other and `out`.
pub unsafe fn tile(tile: &Tile, out: &mut [f32]) {
    for token in 0..tile.factors.len() {
        // SAFETY: all offsets stay below the lengths that `multiply` cut the tile to.
        unsafe {
            let integers = tile.integers.as_ptr().add(token * tile.columns);
            let mut sums = [vdupq_n_f32(0.0); 4];
            for group in 0..tile.columns / GROUP {
                let whole =
                    products(tile.codes.as_ptr().add(group * GROUP * ROWS), integers.add(group * GROUP));
                for four in 0..4 {
                    let scale = vld1_u16(tile.scales.as_ptr().add(group * ROWS + 4 * four));
                    let scale = vreinterpretq_f32_u32(vshll_n_u16::<16>(scale));
                    sums[four] = vfmaq_f32(sums[four], vcvtq_f32_s32(whole[four]), scale);
                }
            }
            for four in 0..4 {
                let bias = vld1q_f32(tile.bias.as_ptr().add(4 * four));
                let result = vfmaq_n_f32(bias, sums[four], tile.factors[token]);
                vst1q_f32(out.as_mut_ptr().add(token * tile.stride + 4 * four), result);
            }
        }
    }
}

/// The sums of one group, four rows to a register.
#[inline]
unsafe fn products(codes: *const i8, integers: *const i16) -> [int32x4_t; 4] {
    // SAFETY: the caller's pointers have a group's weights and integers behind them.
    unsafe {
        let mut whole = [vdupq_n_s32(0); 4];
        for column in (0..GROUP).step_by(2) {
            let weights = vld2q_s8(codes.add(column * ROWS));
            for (weights, integer) in
                [(weights.0, *integers.add(column)), (weights.1, *integers.add(column + 1))]
            {
                let (low, high) = (vmovl_s8(vget_low_s8(weights)), vmovl_high_s8(weights));
                whole[0] = vmlal_n_s16(whole[0], vget_low_s16(low), integer);
                whole[1] = vmlal_high_n_s16(whole[1], low, integer);
                whole[2] = vmlal_n_s16(whole[2], vget_low_s16(high), integer);
                whole[3] = vmlal_high_n_s16(whole[3], high, integer);
            }
        }
        whole
    }
}
