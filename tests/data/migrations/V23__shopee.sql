UPDATE pushbox.shops SET partner_id = 2000001;
